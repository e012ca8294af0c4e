"""A job's units fire when the job does, come back as the same job, and name what they leave out."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.core import hardening
from jobd.core.model import Sandbox
from jobd.core.schedule import Timetable
from jobd.definitions.exporters import systemd
from jobd.definitions.exporters.systemd import Pair
from jobd.definitions.importers import compare, settle, timers
from jobd.definitions.interpret import Rules, job_of

ANALYZE = shutil.which("systemd-analyze")
NOW = datetime(2026, 1, 5, tzinfo=UTC)
AS_SYSTEMD = {"gap": "skip", "overlap": "first"}


def exported(**words: Any) -> Pair:
    given = {"command": ["/bin/true"], **words}
    return systemd.export(job_of(given, "x"), given)


def put(pair: Pair, folder: Path) -> Path:
    for name, text in pair.files.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("expression", "lines"),
    [
        ("30 2 * * *", ["*-*-* 02:30:00"]),
        ("*/15 * * * *", ["*-*-* *:00/15:00"]),
        ("0 9 1 * fri", ["*-*-01 09:00:00", "Fri *-*-* 09:00:00"]),
        ("0 0 */2 * mon", ["Mon *-*-01/2 00:00:00"]),
        ("0 0 L 2,4 *", ["*-02,04~01 00:00:00"]),
        ("0 12 LW * *", ["Mon,Tue,Wed,Thu,Fri *-*~01 12:00:00", "Fri *-*~02 12:00:00", "Fri *-*~03 12:00:00"]),
        ("5 5 * * 1#2,friL", ["Mon *-*-08..14 05:05:00", "Fri *-*~07/1 05:05:00"]),
        ("30 */10 8-17 * * 1-5", ["Mon,Tue,Wed,Thu,Fri *-*-* 08..17:00/10:30"]),
        ("@yearly", ["*-01-01 00:00:00"]),
        ("at 2026-12-24T18:00", ["2026-12-24 18:00:00"]),
    ],
)
def test_cron_is_said_in_calendar_expressions(expression: str, lines: list[str]) -> None:
    timer = exported(schedule=expression).timer
    assert [line.partition("=")[2] for line in timer.splitlines() if line.startswith("OnCalendar")] == lines


@pytest.mark.parametrize(
    "expression",
    ["30 2 * * *", "*/20 1-3 * * *", "0 9 1 * fri", "0 0 */2 * mon", "0 0 L * *", "5 5 * * 1#2", "0 7 * * friL",
     "30 */10 8-17 * * 1-5", "0 0 29 2 *", "every 90m", "after 45m", "H H * * *", "1 1 31 * 5#5,2"],
)  # fmt: skip
@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "UTC"])
def test_out_and_back_the_fires_are_the_same(expression: str, zone: str, tmp_path: Path) -> None:
    pair = exported(schedule=expression, timezone=zone, dst=AS_SYSTEMD)
    found = timers.batch(["x.timer"], zone, (str(put(pair, tmp_path)),))
    (job,) = settle.settle(found.drafts, Rules())
    asked = job_of({"command": ["x"], "schedule": expression, "timezone": zone, "dst": AS_SYSTEMD}, "x")
    until = NOW + timedelta(days=1200)
    ours = Timetable(asked.schedule, zone, "x")
    (one,) = compare.fires([job], (compare.Window(NOW, until),), zone, most=400)
    if ours.after is None:
        assert list(one.old[:300]) == ours.between(NOW, until, 300, NOW)[: len(one.old)]
    assert one.old
    assert one.new == one.old


def test_the_last_workday_goes_out_and_is_named_on_the_way_back(tmp_path: Path) -> None:
    pair = exported(schedule="0 12 LW * *", timezone="UTC")
    (job,) = settle.settle(timers.batch(["x.timer"], "UTC", (str(put(pair, tmp_path)),)).drafts, Rules())
    until = NOW + timedelta(days=1200)
    asked = job_of({"command": ["x"], "schedule": "0 12 LW * *", "timezone": "UTC"}, "x")
    (one,) = compare.fires([job], (compare.Window(NOW, until),), "UTC")
    assert list(one.old) == Timetable(asked.schedule, "UTC", "x").between(NOW, until, 100, NOW)
    assert "February" in str(job.problems)


def test_out_and_back_the_work_is_the_same(tmp_path: Path) -> None:
    words = {
        "shell": 'echo "a $HOME $$" | cat\nx \'%\' \\ é \t"',
        "description": "50% of it",
        "schedule": "@daily",
        "user": "nobody",
        "group": "adm",
        "cwd": "/srv/a b",
        "env": {"A": 'x y"z\\ $B %n'},
        "stdin": "hi\n\nthere",
        "umask": "0077",
        "nice": 5,
        "timeout": "90s",
        "kill_after": "7s",
        "success_exit_status": [0, 3],
        "allow_background": True,
        "jitter": "10m",
    }
    given = dict(words)
    pair = systemd.export(job_of(words, "x"), words)
    found = timers.batch(["x.timer"], "UTC", (str(put(pair, tmp_path)),))
    (job,) = settle.settle(found.drafts, Rules())
    for key in (
        "shell",
        "description",
        "user",
        "group",
        "cwd",
        "stdin",
        "umask",
        "nice",
        "success_exit_status",
        "jitter",
    ):
        assert job.words[key] == given[key], key
    assert job.words["env"]["A"] == 'x y"z\\ $B %n'
    assert (job.job.timeout_seconds, job.job.kill_after_seconds, job.job.allow_background) == (90, 7, True)


def test_a_sandbox_is_said_in_settings_of_the_service() -> None:
    sandbox = {"private_tmp": True, "read_only_root": True, "read_write_paths": ["/srv/a b"]}
    words = {"command": "true", "sandbox": sandbox | {"no_network": True, "drop_capabilities": ["net_raw"]}}
    lines = systemd.export(job_of(words, "x"), words).service.splitlines()
    for line in (
        *("PrivateTmp=yes", "ProtectSystem=strict", 'ReadWritePaths="/srv/a b"', "PrivateNetwork=yes"),
        "CapabilityBoundingSet=~CAP_NET_RAW",
    ):
        assert line in lines, line
    assert "NoNewPrivileges=yes" not in lines


def test_strict_is_said_in_the_settings_that_jobd_itself_asks_systemd_for() -> None:
    words = {"command": "true", "sandbox": {"strict": True, "read_write_paths": ["/srv"], "no_network": True}}
    lines = systemd.export(job_of(words, "x"), words).service.splitlines()
    asked = hardening.settings(Sandbox(strict=True, read_write_paths=("/srv",), no_network=True), lambda path: path)
    assert {*asked, "CapabilityBoundingSet="} <= {*lines}
    assert "PrivateNetwork=yes" in asked and "SystemCallFilter=@system-service" in asked


def test_every_word_without_a_counterpart_is_named() -> None:
    pair = exported(
        schedule=["0 3 * * *", "1 1 L * 5#4"], day_match="and", tags=["a"], overlap="queue", priority="high",
        retry={"max_attempts": 4}, catch_up="all", jitter="1m", queue="q",
    )  # fmt: skip
    told = "\n".join(pair.problems)
    for word in ("tags", "overlap", "priority", "retry", "catch_up", "jitter", "queue", "dst", "schedule"):
        assert f"{word}:" in told, word
        assert f"# not the same: {word}:" in pair.service, word


def test_a_job_without_a_schedule_is_a_service_alone() -> None:
    assert list(exported().files) == ["x.service"]


def test_work_that_no_unit_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="python job"):
        systemd.export(job_of({"python": "a:b"}, "x"), {"python": "a:b"})


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not there")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    pair = exported(
        shell="echo '%' \"$HOME\"\n", command=None, jitter="5m",
        schedule=["0 12 LW * 1-5", "every 15m", "@boot", "after 1h"],
        timezone="Europe/Madrid", retry={"max_attempts": 3}, stdin="hi", env={"A": "b c"}, description="10% [x]",
    )  # fmt: skip
    put(pair, tmp_path)
    done = subprocess.run(
        [str(ANALYZE), "verify", str(tmp_path / "x.timer")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

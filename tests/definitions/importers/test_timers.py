"""Timers and services become jobs that do the same; whatever a unit says and a job does not is named with its line."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.definitions.importers import compare, execlines, settle, timers, timespans, unitfiles
from jobd.definitions.importers.drafts import Batch, Draft, Imported
from jobd.definitions.importers.unitfiles import Unit
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.parse import parse
from tests.examples import examples

NOW = datetime(2026, 3, 5, tzinfo=UTC)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    return tmp_path


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def batch(folder: Path, name: str, timer: str, service: str = "[Service]\nExecStart=/bin/true\n") -> Batch:
    put(folder, f"{name}.timer", timer)
    put(folder, f"{name}.service", service)
    return timers.batch([f"{name}.timer"], "America/New_York", (str(folder),))


def draft(
    folder: Path, timer: str = "[Timer]\nOnCalendar=daily\n", service: str = "[Service]\nExecStart=/bin/true\n"
) -> Draft:
    (found,) = batch(folder, "x", timer, service).drafts
    return found


def settled(found: Batch) -> tuple[Imported, ...]:
    jobs = settle.settle(found.drafts, Rules())
    node = parse(settle.text(jobs).encode(), "f")
    assert node is not None
    assert [one.job for one in interpret(node, (), Rules())] == [job.job for job in jobs]
    return jobs


def test_a_timer_of_a_package_is_taken_over_and_fires_the_same(units: Path) -> None:
    timer = (
        "[Unit]\nDescription=Rotate\n[Timer]\nOnCalendar=daily\nAccuracySec=1h\nPersistent=true\n"
        "[Install]\nWantedBy=timers.target\n"
    )
    service = (
        "[Unit]\nDescription=Rotate log files\nRequiresMountsFor=/var/log\nConditionACPower=true\n"
        "[Service]\nType=oneshot\nExecStart=/usr/sbin/logrotate /etc/logrotate.conf\nNice=19\nProtectSystem=full\n"
    )
    (job,) = settled(batch(units, "logrotate", timer, service))
    assert job.words["command"] == ["/usr/sbin/logrotate", "/etc/logrotate.conf"]
    assert job.words["schedule"] == "0 0 * * *"
    assert (job.words["catch_up"], job.words["nice"], job.words["cwd"], job.words["timeout"]) == ("latest", 19, "/", 0)
    told = str([str(problem) for problem in job.problems])
    for word in ("RequiresMountsFor", "ConditionACPower", "ProtectSystem", "logrotate.service:9:1"):
        assert word in told
    over = (compare.Window(NOW, NOW + timedelta(days=300)),)
    assert compare.differences(compare.fires([job], over, "America/New_York")) == []


def test_several_calendars_are_one_job_and_several_zones_several(units: Path) -> None:
    both = draft(units, "[Timer]\nOnCalendar=06:00\nOnCalendar=Mon *-*-01..07 18:00\n")
    assert both.words["schedule"] == ["0 6 * * *", "0 18 1-7 * 1"]
    assert both.words["day_match"] == "and"
    found = batch(units, "y", "[Timer]\nOnCalendar=06:00 UTC\nOnCalendar=06:00 Asia/Tokyo\n")
    assert [one.words["timezone"] for one in found.drafts] == ["UTC", "Asia/Tokyo"]


def test_spans_from_events_become_boot_every_and_after(units: Path) -> None:
    words = draft(
        units, "[Timer]\nOnBootSec=15min\nOnUnitActiveSec=1h 30min\nOnUnitInactiveSec=45\nRandomizedDelaySec=5m\n"
    ).words
    assert words["schedule"] == ["@boot", "every 1h 30m", "after 45s"]
    assert words["jitter"] == "5m"
    assert "dst" not in words


def test_what_a_calendar_cannot_say_is_named_and_shown_as_missing(units: Path) -> None:
    (job,) = settled(batch(units, "x", "[Timer]\nOnCalendar=*-*~3 12:00\n"))
    assert "schedule" not in job.words
    assert "February" in str(job.problems)
    (one,) = compare.fires([job], (compare.Window(NOW, NOW + timedelta(days=62)),), "UTC")
    assert (len(one.old), one.new) == (2, ())


def test_drop_ins_count_and_an_empty_value_takes_back(units: Path) -> None:
    put(units, "x.timer.d/10.conf", "[Timer]\nOnCalendar=\nOnCalendar=hourly\n")
    put(units, "x.service.d/a.conf", "[Service]\nExecStart=\nExecStart=/bin/echo hi\n")
    put(units, "service.d/b.conf", "[Service]\nNice=5\n")
    words = draft(units, "[Timer]\nOnCalendar=daily\n").words
    assert (words["schedule"], words["command"], words["nice"]) == ("0 * * * *", ["/bin/echo", "hi"], 5)


def test_an_instance_of_a_template_fills_in_its_specifiers(units: Path) -> None:
    put(units, "dump@.timer", "[Timer]\nOnCalendar=daily\n")
    put(units, "dump@.service", "[Service]\nUser=%i\nExecStart=/bin/dump %i %p 100%% %n\n")
    (found,) = timers.batch(["dump@shop.timer"], "UTC", (str(units),)).drafts
    assert found.words["command"] == ["/bin/dump", "shop", "dump", "100%", "dump@shop.service"]
    assert found.words["user"] == "shop"
    assert settle.settle([found], Rules())[0].name == "dump-shop"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("ExecStart=/bin/a\nExecStart=/bin/b 'c d'", {"shell": "/bin/a || exit\n/bin/b 'c d'\n"}),
        ("ExecStart=-/bin/a", {"shell": "/bin/a || :"}),
        ("ExecStartPre=/bin/p\nExecStart=/bin/a", {"shell": "/bin/p || exit\n/bin/a\n"}),
        ("ExecStart=/bin/a $X ${Y}z $$", {"shell": "set -f\n/bin/a $X \"${Y}\"z '$'\n"}),
        ("ExecStart=:/bin/a $X", {"command": ["/bin/a", "$X"]}),
        ('ExecStart=/bin/a "b \\"c" \'d\' e\\x20f', {"command": ["/bin/a", 'b "c', "d", "e f"]}),
        ("ExecStart=/bin/a ; /bin/b \\;", {"shell": "/bin/a || exit\n/bin/b ';'\n"}),
        ("ExecStart=/bin/a \\\n  b", {"command": ["/bin/a", "b"]}),
    ],
)
def test_commands_are_read_as_systemd_reads_them(units: Path, lines: str, words: dict[str, object]) -> None:
    found = draft(units, service=f"[Service]\nType=oneshot\n{lines}\n").words
    assert {key: found[key] for key in words} == words


def test_the_service_is_said_word_by_word(units: Path) -> None:
    service = (
        "[Unit]\nConditionPathExists=!/etc/no\n[Service]\nType=oneshot\nExecStart=/bin/a\nUser=www-data\nGroup=adm\n"
        'WorkingDirectory=/srv\nEnvironment=A=1 "B=x y"\nUMask=0077\nTimeoutStartSec=5min\nMemoryMax=1G\n'
        "CPUQuota=50%\nTasksMax=64\nSuccessExitStatus=3 TEMPFAIL\nRestart=on-failure\nRestartSec=10\n"
        "IOSchedulingClass=idle\nEnvironmentFile=-/etc/default/a\n"
    )
    words = draft(units, service=service).words
    assert words["shell"] == "test ! -e /etc/no || exit 0\n/bin/a\n"
    assert (words["user"], words["group"], words["cwd"], words["umask"]) == ("www-data", "adm", "/srv", "0077")
    assert words["env"] == {"A": "1", "B": "x y"}
    assert (words["timeout"], words["kill_after"]) == ("5m", "1m 30s")
    assert words["limits"] == {"memory": "1G", "cpu": "50%", "tasks": 64, "file_size": "unlimited"}
    assert words["success_exit_status"] == [0, 3, 75]
    assert words["retry"] == {"strategy": "fixed", "base": "10s", "jitter": 0, "max_attempts": 5}
    assert words["ionice"] == "idle"
    assert words["env_file"] == "-/etc/default/a"


def test_words_that_this_jobd_lacks_are_left_out_and_named(units: Path) -> None:
    (job,) = settled(
        batch(units, "x", "[Timer]\nOnCalendar=daily\n", "[Service]\nExecStart=/bin/a\nNoSuchSetting=1\nNice=99\n")
    )
    assert "nice" not in job.words
    told = str(job.problems)
    assert "NoSuchSetting" in told and "nice: 99 is left out" in told


def test_work_that_would_lose_its_user_is_not_enabled(units: Path) -> None:
    assert draft(units, service="[Service]\nExecStart=/bin/a\nDynamicUser=yes\n").words["enabled"] is False
    found = batch(units, "x", "[Timer]\nOnCalendar=daily\n", "[Service]\nExecStart=/bin/a\nUser=ann\n")
    (job,) = settle.settle(found.drafts, Rules(run_as_allowed=("bob",)))
    assert job.words["enabled"] is False
    assert "run_as_allowed" in str(job.problems)


def test_a_unit_that_is_not_there_or_masked_gives_a_problem(units: Path) -> None:
    (units / "m.timer").symlink_to("/dev/null")
    found = timers.batch(["m.timer", "n.timer"], "UTC", (str(units),))
    assert found.drafts == ()
    assert ["masked" in found.problems[0].message, "no such unit" in found.problems[1].message] == [True, True]


def test_a_timer_without_its_service_is_kept_disabled_and_named(units: Path) -> None:
    put(units, "x.timer", "[Timer]\nOnCalendar=daily\n")
    (job,) = settled(timers.batch(["x.timer"], "UTC", (str(units),)))
    assert job.words["enabled"] is False
    assert "no such unit" in str(job.problems)


def test_only_what_a_target_wants_is_enabled(units: Path) -> None:
    put(units, "a.timer", "[Timer]\nOnCalendar=daily\n")
    put(units, "b.timer", "[Timer]\nOnCalendar=daily\n")
    (units / "timers.target.wants").mkdir()
    (units / "timers.target.wants" / "a.timer").symlink_to("../a.timer")
    assert unitfiles.timers((str(units),)) == ["a.timer"]
    assert unitfiles.timers((str(units),), enabled=False) == ["a.timer", "b.timer"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1h 30min", 5400), ("1h30m", 5400), ("2 days", 172800), ("500ms", 0.5), ("1M", 2629800), ("0", 0)],
)
def test_spans_are_read(text: str, seconds: float) -> None:
    assert timespans.span(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "-3", "1h x"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no span"):
        timespans.span(text)


@given(st.text(max_size=120))
@settings(max_examples=examples(60), deadline=None)
def test_no_unit_file_makes_the_importer_raise(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clean = text.replace("\0", "").encode("utf-8", "ignore").decode()
        found = batch(folder, "x", "[Timer]\nOnCalendar=daily\n", f"[Service]\nExecStart={clean}\n{clean}\n")
        assert len(settled(found)) == 1


@given(st.text(max_size=60))
@settings(max_examples=examples(200), deadline=None)
def test_splitting_gives_words_or_a_reason(text: str) -> None:
    try:
        assert all(isinstance(call.shell(), str) for call in execlines.calls(text, Unit("x.service", "x"), None))
    except ValueError as error:
        assert str(error)

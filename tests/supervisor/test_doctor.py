"""The doctor sees what is wrong with a host, says what to do, and changes nothing."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobd.core.audit import Entry
from jobd.core.model import Command, Job, Limits
from jobd.store import audit
from jobd.store.open import open_store
from jobd.supervisor import doctor
from jobd.supervisor.doctor import daemon, files, host, jobs, store
from jobd.supervisor.doctor.finding import Finding, Grade, is_healthy
from jobd.supervisor.settings import Settings, load

NOW = datetime(2026, 5, 1, tzinfo=UTC)
WELL: dict[str, Any] = {
    "version": "1.0",
    "pid": 1,
    "started_at": "2026-05-01T00:00:00Z",
    "workers": {"busy": 1, "max": 4},
    "degraded": [],
    "last_reload": {"ok": True, "at": "2199-01-01T00:00:00Z"},
    "draining": False,
    "paused": None,
    "queues": [],
    "problems": [],
    "containment": "cgroup",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "jobs.d").mkdir(mode=0o755)
    (tmp_path / "jobd.yaml").write_text("{jobs_dirs: [jobs.d], state_dir: state, runtime_dir: run}\n")
    return load(str(tmp_path / "jobd.yaml"))


def grades(findings: Any, check: str | None = None) -> list[Grade]:
    return [found.grade for found in findings if check in (None, found.check)]


def a_job(**changes: Any) -> Job:
    return Job(name="backup", action=Command(("true",)), **changes)


@pytest.mark.parametrize(
    ("found", "grade"),
    [
        (host.sqlite((3, 51, 2)), Grade.BAD),
        (host.sqlite((3, 51, 3)), Grade.OK),
        (host.clock(lambda: 5), Grade.WARNING),
        (host.clock(lambda: 0), Grade.OK),
        (host.clock(lambda: -1), Grade.UNKNOWN),
        (host.of_room("disk", "/x", 10 * 1024**2, 100 * 1024**3), Grade.BAD),
        (host.of_room("disk", "/x", 900 * 1024**2, 100 * 1024**3), Grade.WARNING),
        (host.of_room("disk", "/x", 900 * 1024**2, 10 * 1024**3), Grade.OK),
        (host.journal("/nonexistent", ["talks"]), Grade.WARNING),
        (host.journal("/nonexistent", []), Grade.OK),
        (store.of_trail(7, None), Grade.OK),
        (store.of_trail(7, 8), Grade.BAD),
    ],
)
def test_a_fact_is_graded_and_has_a_next_step_where_it_is_not_well(found: Finding, grade: Grade) -> None:
    assert found.grade is grade
    assert bool(found.mend) == (grade in (Grade.BAD, Grade.WARNING))


def test_a_sound_host_has_nothing_bad(settings: Settings) -> None:
    assert is_healthy(doctor.of_settings(settings, None))


def test_a_directory_that_others_may_write_is_bad(settings: Settings) -> None:
    os.chmod(settings.jobs_dirs[0], 0o777)
    found = list(files.directories(settings, os.geteuid()))
    assert grades(found, "definitions") == [Grade.BAD]
    assert "chmod go-w" in found[-1].detail


def test_state_that_others_may_read_is_bad(settings: Settings) -> None:
    os.mkdir(settings.state_dir, 0o700)
    Path(settings.database).touch()
    os.chmod(settings.database, 0o644)
    assert [found.mend for found in files.state(settings, os.geteuid()) if found.grade is Grade.BAD] == [
        f"chmod go-rwx {settings.database}"
    ]
    assert Grade.BAD in grades(files.state(settings, os.geteuid() + 1), "state")


def test_secrets_that_are_missing_or_open_are_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    os.chmod(tmp_path / "key", 0o644)
    job = a_job(secrets=(("KEY", str(tmp_path / "key")), ("GONE", str(tmp_path / "gone"))))
    assert grades(files.secrets(settings, [job])) == [Grade.BAD, Grade.WARNING]
    os.chmod(tmp_path / "key", 0o600)
    assert grades(files.secrets(settings, [a_job(secrets=(("KEY", str(tmp_path / "key")),))])) == [Grade.OK]


def test_a_file_of_variables_may_only_be_missing_where_that_was_said() -> None:
    assert grades(files.env_files([a_job(env_files=("/nonexistent/a", "-/nonexistent/b"))])) == [Grade.BAD]


def test_users_that_are_not_there_are_told_with_their_jobs(settings: Settings) -> None:
    found = [one for one in jobs.accounts(settings, [a_job(user="nobody-here")], 0) if one.grade is Grade.BAD]
    assert ["backup" in one.detail and "nobody-here" in one.mend for one in found] == [True]


def test_names_in_settings_and_owners_that_are_nobody_are_told(settings: Settings) -> None:
    strange = replace(settings, run_as_allowed=("root", "nobody-here"))
    found = [one.detail for one in jobs.accounts(strange, [a_job(owner="gone"), a_job()], 0) if one.mend]
    assert [detail.partition(":")[0] for detail in found if "names" in detail] == [
        "policy.run_as_allowed names nobody-here",
        "owner names gone",
    ]


def test_a_jobd_that_is_not_root_cannot_run_jobs_as_others(settings: Settings) -> None:
    found = list(jobs.accounts(settings, [a_job(user="root")], 1234))
    assert any("cannot run backup as root" in one.detail for one in found)


def test_limits_need_a_cgroup_unless_the_job_can_do_without() -> None:
    hard, soft = a_job(limits=Limits(memory=1)), a_job(limits=Limits(memory=1, best_effort=True))
    assert grades(jobs.limits([hard], "cgroup")) == [Grade.OK]
    assert grades(jobs.limits([hard], "process group and subreaper")) == [Grade.BAD]
    assert grades(jobs.limits([soft], "process group and subreaper")) == [Grade.WARNING]
    assert grades(jobs.limits([hard], None)) == [Grade.UNKNOWN]


def test_a_broken_definition_is_told_with_its_place(settings: Settings) -> None:
    Path(settings.jobs_dirs[0], "a.yaml").write_text("jobs: {one: {comand: [x]}}\n")
    found = [one for one in doctor.of_settings(settings, None) if one.grade is Grade.BAD]
    assert [one.check for one in found] == ["definitions"]
    assert "a.yaml:1:14" in found[0].detail


def test_the_trail_of_a_stopped_jobd_is_followed(settings: Settings) -> None:
    os.mkdir(settings.state_dir, 0o700)
    writer, history = open_store(settings.database)
    with writer.transaction(NOW) as tx:
        audit.append(tx, [Entry(NOW, 0, "root", 1, "", "pause", f"job {number}") for number in range(5)])
    assert store.trail(settings).detail == "the trail is whole: 5 entries"
    assert grades(store.contents(settings)) == [Grade.OK, Grade.OK]
    history.close()
    writer.close()


def test_a_database_of_another_program_is_bad(settings: Settings) -> None:
    os.mkdir(settings.state_dir, 0o700)
    Path(settings.database).write_bytes(b"no database at all" * 100)
    assert grades(store.contents(settings)) == [Grade.BAD]


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"degraded": [{"reason": "storage", "detail": "full"}]}, "daemon"),
        ({"last_reload": {"ok": False, "at": "2199-01-01T00:00:00Z"}}, "reload"),
        ({"paused": {"by": "ann"}}, "paused"),
        ({"queues": [{"name": "mail", "paused": {"by": "ann"}, "dead_letters": 0}]}, "paused"),
        ({"queues": [{"name": "mail", "paused": None, "dead_letters": 3}]}, "dead letters"),
        ({"draining": True}, "daemon"),
        ({"problems": ["jobd.yaml: workers was changed and waits for a start (restart jobd)"]}, "settings"),
        ({"state_dir": "/elsewhere"}, "settings"),
    ],
)
def test_what_the_daemon_says_is_told_with_the_next_step(
    settings: Settings, changes: dict[str, Any], check: str
) -> None:
    from jobd import __version__

    seen = WELL | {"version": __version__, "state_dir": settings.state_dir}
    assert grades(daemon.of_status(seen, settings)) == [Grade.OK]
    told = [one for one in daemon.of_status(seen | changes, settings) if one.grade is not Grade.OK]
    assert [(one.check, bool(one.mend)) for one in told] == [(check, True)]


def test_settings_that_were_changed_after_they_were_read_are_told(settings: Settings) -> None:
    seen = WELL | {"state_dir": settings.state_dir, "last_reload": {"ok": True, "at": "2001-01-01T00:00:00Z"}}
    assert any("was changed after jobd read it" in one.detail for one in daemon.of_status(seen, settings))


def test_workers_that_a_restart_of_the_service_would_end_are_told(tmp_path: Path) -> None:
    def process(pid: int, group: str, children: str = "", title: str = "jobd") -> None:
        (tmp_path / f"{pid}/task/{pid}").mkdir(parents=True)
        (tmp_path / f"{pid}/cmdline").write_bytes(title.encode() + bytes(40))
        (tmp_path / f"{pid}/cgroup").write_text(f"0::{group}\n")
        (tmp_path / f"{pid}/task/{pid}/children").write_text(children)

    process(1, "/system.slice/jobd.service", "2 ")
    process(2, "/system.slice/jobd.service", title="systemd-run")
    process(3, "/system.slice/jobd.service", "4 ")
    process(4, "/system.slice/jobd.service", title="jobd: forkserver")
    process(5, "/user.slice/session.scope", "4 ")
    assert grades(daemon.scope(1, str(tmp_path))) == [Grade.OK]
    assert grades(daemon.scope(3, str(tmp_path))) == [Grade.WARNING]
    assert grades(daemon.scope(5, str(tmp_path))) == []


def test_the_settings_are_those_that_the_daemon_was_started_with(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cwd").symlink_to("/srv")
    for line, expected in (
        ("python\0jobd\0--config\0a.yaml\0", ("/srv/a.yaml", False)),
        ("jobd\0--config=/b.yaml\0", ("/b.yaml", False)),
        ("jobd\0--user\0", (None, True)),
    ):
        (tmp_path / "7/cmdline").write_text(line)
        assert daemon.arguments(7, str(tmp_path)) == expected

"""`doctor` tells what is wrong, with the exit code of the table, also while no daemon answers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Ctl
from tests.cli.daemon import Daemon, status


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "jobs.d").mkdir(mode=0o755)
    (tmp_path / "jobd.yaml").write_text("{jobs_dirs: [jobs.d], state_dir: state, runtime_dir: run}\n")
    return tmp_path / "jobd.yaml"


def answers(daemon: Daemon, config: Path, **changes: object) -> None:
    daemon.gets("/v1/status", status(pid=os.getpid(), state_dir=str(config.parent / "state"), **changes))
    daemon.gets("/v1/audit/verify", {"whole": True, "entries": 3, "broken_at": None, "digest": "00"})


def test_a_sound_host_exits_0_and_names_what_was_looked_at(daemon: Daemon, ctl: Ctl, config: Path) -> None:
    answers(daemon, config)
    said = ctl("doctor", "--config", str(config), "--json")
    seen = json.loads(said.out)
    assert (said.code, seen["healthy"]) == (0, True)
    assert {"sqlite", "clock", "definitions", "audit", "daemon"} <= {one["check"] for one in seen["findings"]}


def test_without_a_daemon_the_rest_is_looked_at_and_it_exits_3(ctl: Ctl, config: Path) -> None:
    said = ctl("--socket", str(config.parent / "none"), "doctor", "--config", str(config))
    assert said.code == 3
    assert "-> systemctl start jobd" in said.out
    assert "0 jobs without a problem" in said.out


def test_broken_definitions_alone_exit_6(daemon: Daemon, ctl: Ctl, config: Path) -> None:
    answers(daemon, config)
    (config.parent / "jobs.d" / "a.yaml").write_text("jobs: {one: {comand: [x]}}\n")
    said = ctl("doctor", "--config", str(config))
    assert said.code == 6
    assert "a.yaml:1:14" in said.out


def test_settings_that_cannot_be_used_exit_6(daemon: Daemon, ctl: Ctl, config: Path) -> None:
    answers(daemon, config)
    config.write_text("nonsense: 1\n")
    assert ctl("doctor", "--config", str(config)).code == 6


def test_anything_else_that_is_bad_exits_1(daemon: Daemon, ctl: Ctl, config: Path) -> None:
    answers(daemon, config, degraded=(("storage", "full"),))
    daemon.gets("/v1/audit/verify", {"whole": False, "entries": 3, "broken_at": 4, "digest": None})
    said = ctl("doctor", "--config", str(config))
    assert said.code == 1
    assert "altered at entry 4" in said.out


def test_a_channel_that_cannot_work_is_bad_before_anybody_should_have_been_told(
    daemon: Daemon, ctl: Ctl, config: Path
) -> None:
    answers(daemon, config)
    config.write_text(
        "{jobs_dirs: [jobs.d], state_dir: state, runtime_dir: run,"
        " channels: {hc: {healthcheck: {url_file: /nonexistent/url}}}}\n"
    )
    said = ctl("doctor", "--config", str(config))
    assert said.code == 1
    assert "channels.hc: url_file /nonexistent/url cannot be read" in said.out


def test_what_only_administrators_may_see_is_unknown(daemon: Daemon, ctl: Ctl, config: Path) -> None:
    answers(daemon, config)
    daemon.refuses("GET", "/v1/audit/verify", 403, "not-permitted", "only administrators read the audit trail")
    said = ctl("doctor", "--config", str(config))
    assert said.code == 0
    assert "unknown  audit" in said.out

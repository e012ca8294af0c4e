"""`check` and `schema` judge definitions without a daemon."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Ctl
from tests.cli.daemon import Daemon

GOOD = "jobs:\n  backup: {command: [echo], schedule: '30 2 * * *'}\n"
BAD = "jobs:\n  backup:\n    command: [echo]\n    tiemout: 5m\n  other: {command: [echo], retry: {base: soon}}\n"


def test_good_definitions_pass(tmp_path: Path, ctl: Ctl, daemon: Daemon) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    said = ctl("check", str(tmp_path))
    assert (said.code, said.out) == (0, "")
    assert "1 job, no problems" in said.err
    assert daemon.asked == []


def test_every_problem_is_told_with_its_place_and_the_exit_code_is_6(tmp_path: Path, ctl: Ctl) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(BAD)
    said = ctl("check", str(file))
    assert said.code == 6
    first, second = said.out.splitlines()
    assert first.startswith(f"{file}:4:5: jobs.backup.tiemout: ") and "timeout" in first
    assert second.startswith(f"{file}:5:") and "jobs.other.retry.base: " in second


def test_json_has_the_place_in_parts(tmp_path: Path, ctl: Ctl) -> None:
    (tmp_path / "a.yaml").write_text(BAD)
    said = ctl("--json", "check", str(tmp_path))
    found = json.loads(said.out)
    assert said.code == 6
    assert found["problems"][0]["line"] == 4
    assert found["problems"][0]["path"] == "jobs.backup.tiemout"


def test_a_warning_alone_is_no_failure(tmp_path: Path, ctl: Ctl) -> None:
    (tmp_path / "a.yaml").write_text("jobs: {x: {command: [no-such-program-here]}}\n")
    said = ctl("check", str(tmp_path))
    assert said.code == 0
    assert "warning: jobs.x.command" in said.out


def test_slots_closer_than_past_runs_took_are_warned_of_where_a_daemon_knows(
    tmp_path: Path, ctl: Ctl, daemon: Daemon
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text('jobs:\n  slow: {command: ["true"], schedule: "*/5 * * * *", timeout: 0}\n')
    assert ctl("check", str(file)).out == ""
    known = {"job": "slow", "runs": 9, "median_seconds": 600.0}
    daemon.gets("/v1/workload", {"items": [known], "next_cursor": None})
    said = ctl("check", str(file))
    assert (said.code, f"{file}:2:29: warning: jobs.slow.schedule: has slots 5m apart" in said.out) == (0, True)
    daemon.gets("/v1/workload", {"items": [known | {"runs": 2}], "next_cursor": None})
    assert ctl("check", str(file)).out == ""


def test_a_path_that_is_not_there_is_a_usage_error(tmp_path: Path, ctl: Ctl) -> None:
    assert ctl("check", str(tmp_path / "none")).code == 2


def test_the_schema_is_json_schema(ctl: Ctl) -> None:
    made = json.loads(ctl("schema").out)
    assert made["$schema"].startswith("https://json-schema.org/")

"""`simulate` tells beforehand which runs would overlap, by the daemon's word or from files alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from jobd.core.model import Schedule
from tests.cli.conftest import Ctl
from tests.cli.daemon import Daemon

FILE = """\
jobs:
  often: {command: ["true"], schedule: "* * * * *"}
  queued: {command: ["true"], schedule: "*/2 * * * *", overlap: queue}
  off: {command: ["true"], schedule: "* * * * *", enabled: false}
  on-request: {command: ["true"]}
"""
RANGE = ("--from", "2030-01-01T00:00:00Z", "--to", "1h")


def item(name: str, expression: str = "* * * * *", **more: Any) -> dict[str, Any]:
    shape = {"job": name, "enabled": True, "timezone": "UTC", "next_at": None, "queue": "default", "priority": 0}
    shape |= {"max_running": None, "running_limit": None, "runs": 9, "median_seconds": 30.0, "p95_seconds": 90.0}
    return shape | {"schedule": asdict(Schedule((expression,)))} | more


def page(*items: dict[str, Any], cursor: str | None = None) -> dict[str, Any]:
    return {"items": list(items), "next_cursor": cursor, "queues": {"default": 1}, "workers_max": 4}


def test_it_goes_by_what_the_daemon_knows_of_past_runs(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/workload", page(item("a"), cursor="a"))
    daemon.gets("/v1/workload?cursor=a", page(item("b", "0 * * * *"), item("c", enabled=False)))
    found = json.loads(ctl("--json", "simulate", *RANGE).out)
    jobs = {job["job"]: job for job in found["jobs"]}
    assert jobs.keys() == {"a", "b"}
    assert (jobs["a"]["slots"], jobs["a"]["started"], jobs["a"]["skipped"]) == (60, 60, 0)
    assert (found["slots"], found["queues"][0]["peak"], found["queues"][0]["max_running"]) == (61, 1, 1)
    assert jobs["b"]["waited"] + jobs["a"]["waited"] == 1
    assert found["busiest_minute"] == {"at": "2030-01-01T01:00:00Z", "slots": 2}
    assert json.loads(ctl("--json", "simulate", *RANGE, "--p95").out)["jobs"][0]["skipped"] == 30


def test_it_counts_intervals_from_the_slot_that_the_daemon_has_coming(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/workload", page(item("a", "every 40m", next_at="2030-01-01T00:10:00Z", median_seconds=3000.0)))
    found = json.loads(ctl("--json", "simulate", *RANGE).out)
    assert [one["at"] for one in found["incidents"]] == ["2030-01-01T00:50:00Z"]


def test_files_are_simulated_without_a_daemon(tmp_path: Path, ctl: Ctl, daemon: Daemon) -> None:
    (tmp_path / "a.yaml").write_text(FILE)
    said = ctl("simulate", "--file", str(tmp_path), *RANGE, "--default", "3m")
    assert said.code == 0, said.err
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[1] == "41 started, 40 skipped, 9 coalesced, 0 replaced, 0 expired, 11 waited"
    assert "no past run is known of, so taken to last 3m: often, queued" in lines
    assert any(line.startswith("often 3m 60 40") for line in lines)
    assert all(len(line) <= 80 for line in said.out.splitlines())
    assert daemon.asked == []


def test_only_the_jobs_that_are_named_are_told_of(tmp_path: Path, ctl: Ctl) -> None:
    (tmp_path / "a.yaml").write_text(FILE)
    said = ctl("--json", "simulate", "queued", "--file", str(tmp_path), *RANGE)
    assert [job["job"] for job in json.loads(said.out)["jobs"]] == ["queued"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["nope"], "nope is no enabled job"),
        (["--to", "soon"], "soon"),
        (["--from", "2030-01-02T00:00:00Z", "--to", "2030-01-01T00:00:00Z"], "before --from"),
        (["--to", "3000d"], "take a shorter one"),
        (["--default", "long"], "not a duration"),
    ],
)
def test_what_cannot_be_simulated_is_a_usage_error(tmp_path: Path, ctl: Ctl, words: list[str], hint: str) -> None:
    (tmp_path / "a.yaml").write_text(FILE)
    said = ctl("simulate", "--file", str(tmp_path / "a.yaml"), *words)
    assert (said.code, hint in said.err) == (2, True), said.err


def test_a_broken_file_is_not_simulated(tmp_path: Path, ctl: Ctl) -> None:
    (tmp_path / "a.yaml").write_text("jobs: {a: {command: x, tiemout: 3}}")
    said = ctl("simulate", "--file", str(tmp_path / "a.yaml"))
    assert said.code == 6 and "a.yaml:1:" in said.err

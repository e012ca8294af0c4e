"""Rate limits, counted resources and limits that are set at work, on a daemon of flesh and blood."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until

ROOT = Path(__file__).parent.parent.parent
BURST, RATE = 5, 10
SETTINGS = f"""
workers: {{max: 4}}
drain_timeout: 5s
resources: {{gpu: 1, licences: 2}}
queues: {{rated: {{rate_limit: {{rate: {RATE}/sec, burst: {BURST}}}}}, narrow: {{max_running: 1}}}}
"""
JOBS = """
jobs:
  quick: {command: ['true'], queue: rated}
  train: {command: [sleep, '0.2'], uses: {gpu: 1}}
  draw: {command: [sleep, '0.2'], queue: other, uses: {gpu: 1}}
  long: {command: [sleep, '60'], queue: narrow}
"""


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    made = make_host(SETTINGS)
    made.define("jobs", JOBS)
    return made.start()


def finished(host: Host, runs: list[int]) -> list[dict[str, Any]]:
    return [host.ended(run, 60.0) for run in runs]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.slow
def test_no_window_sees_more_starts_than_burst_and_rate_allow_also_over_a_kill(host: Host) -> None:
    runs = host.client().submit_many([{"job": "quick"}] * 40)
    until(lambda: host.run(runs[9])["state"] == "succeeded")
    host.kill()
    host.start()
    finished(host, runs)
    with apsw.Connection(str(host.database), flags=apsw.SQLITE_OPEN_READONLY) as base:
        starts = [row[0] / 1e6 for row in base.execute("SELECT reserved_at FROM attempt ORDER BY reserved_at")]
    assert len(starts) >= len(runs)
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            window = starts[last] - starts[first]
            assert last - first + 1 <= BURST + RATE * (window + 0.01), f"{last - first + 1} starts in {window:.3f} s"


def test_a_resource_is_had_by_one_run_at_a_time_across_queues(host: Host) -> None:
    runs = host.client().submit_many([{"job": "train"}, {"job": "draw"}] * 3)
    spans = sorted((seconds(run["started_at"]), seconds(run["finished_at"])) for run in finished(host, runs))
    assert all(before[1] <= after[0] for before, after in pairwise(spans)), spans


@pytest.mark.slow
def test_a_limit_that_is_set_holds_at_once_and_over_a_kill_until_it_is_taken_back(host: Host) -> None:
    runs = host.client().submit_many([{"job": "long"}] * 4)
    until(lambda: host.run(runs[0])["state"] == "running")
    assert host.run(runs[1])["state"] == "queued"
    said = ctl(host, "queue", "set", "narrow", "max_running=3")
    assert said.returncode == 0, said.stderr
    until(lambda: [host.run(run)["state"] for run in runs] == ["running"] * 3 + ["queued"])
    host.kill()
    host.start()
    (narrow,) = [one for one in json.loads(ctl(host, "queues").stdout)["items"] if one["name"] == "narrow"]
    assert narrow["max_running"] == 3 and narrow["overrides"]["declared"]["max_running"] == 1
    assert ctl(host, "queue", "set", "narrow", "max_running=default").returncode == 0
    for run in runs[:3]:
        host.client().cancel(run)
    until(lambda: host.run(runs[3])["state"] == "running")
    more = host.client().submit("long")
    assert host.run(more)["state"] == "queued"


def test_a_drained_queue_refuses_what_is_new_and_says_how_to_open_it(host: Host) -> None:
    said = ctl(host, "drain", "--queue", "rated")
    assert said.returncode == 0 and json.loads(said.stdout)["draining"] is True
    refused = ctl(host, "run", "quick")
    assert refused.returncode == 1 and "jobd-ctl queue set rated draining=default" in refused.stderr
    assert ctl(host, "queue", "set", "rated", "draining=default").returncode == 0
    assert ctl(host, "run", "quick", "--wait").returncode == 0


def ctl(host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobd.cli.ctl", "--json", "--socket", host.socket, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)

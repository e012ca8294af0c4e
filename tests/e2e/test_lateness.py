"""A job that does not keep what is expected of it, on a living daemon: everybody who asks is told."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any

from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until


def ctl(host: Host, *words: str) -> str:
    command = [sys.executable, "-m", "jobd.cli.ctl", "--socket", host.socket, "--no-color", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def checks(host: Host) -> list[str]:
    found: dict[str, Any] = json.loads(ctl(host, "--json", "show", "stale"))
    return [one["check"] for one in found["late"]]


def test_a_stale_job_is_told_of_everywhere_over_a_restart_and_not_while_it_is_paused(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 2}\n")
    host.define("stale", "jobs: {stale: {command: ['true'], expect: {max_time_since_success: 1s}}}")
    host.start()
    until(lambda: checks(host), 30, "the job is late")
    host.kill()
    host.start()
    assert checks(host) == ["max_time_since_success"]
    with urllib.request.urlopen(f"http://{host.status()['metrics_address']}/metrics", timeout=60) as answer:
        samples = [sample for family in read_text(answer.read().decode()) for sample in family.samples]
    (late,) = [sample for sample in samples if sample.name == "jobd_job_late"]
    assert (late.labels, late.value) == ({"job_name": "stale", "check": "max_time_since_success"}, 1)
    told = "no run has succeeded within 1s"
    assert f"late: stale: {told}" in ctl(host, "status")
    assert told in ctl(host, "show", "stale")
    assert f"late max_time_since_success: {told}: late since" in ctl(host, "why", "stale")
    assert host.log().count("Job stale is late") == 1
    with host.client() as client:
        client.pause("stale")
        assert checks(host) == []

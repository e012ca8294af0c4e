"""The alert rules: sound to promtool, about metrics that there are, and firing in a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.e2e.daemon import Host, host, until
from tests.packages.test_grafana import PANELS, as_asked, queries

RULES = Path(__file__).resolve().parent.parent.parent / "packaging" / "prometheus"
JOBS = """
jobs:
  sour: {command: ['false'], schedule: every 1s}
  sweet: {command: ['true'], schedule: every 1s}
"""
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def promtool(*words: str) -> None:
    done = subprocess.run(["promtool", *words], cwd=RULES, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_rules_are_sound() -> None:
    promtool("check", "rules", "jobd.rules.yml")


@needs_promtool
def test_the_rules_fire_when_they_should_and_not_before() -> None:
    promtool("test", "rules", "jobd.test.yml")


def test_every_alert_that_is_promised_is_there_and_has_a_case() -> None:
    groups = yaml.safe_load((RULES / "jobd.rules.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    cases = {
        case["alertname"]: case["exp_alerts"]
        for test in yaml.safe_load((RULES / "jobd.test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert alerts == set(cases)
    for kind in (
        "Down",
        "JobLate",
        "JobFailing",
        "DeadLettersGrowing",
        "ReloadBroken",
        "SchedulerLag",
        "StoreNearFull",
    ):
        assert f"Jobd{kind}" in alerts


@pytest.fixture
def failing() -> Iterator[Host]:
    """A daemon with one job that fails and one that does not."""
    with (
        tempfile.TemporaryDirectory(prefix="jobd-", ignore_cleanup_errors=True) as directory,
        host(Path(directory), "drain_timeout: 5s\n") as made,
    ):
        made.define("jobs", JOBS)
        made.start()
        until(lambda: {"sour", "sweet"} <= {run["job"] for run in made.client().runs()})
        yield made


def scraped(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as answer:
        text: str = answer.read().decode()
        return text


def test_every_metric_that_a_rule_names_is_there(failing: Host) -> None:
    text = scraped(f"http://{failing.status()['metrics_address']}/metrics")
    named = set(re.findall(r"\bjobd_[a-z_]+", (RULES / "jobd.rules.yml").read_text()))
    assert {name for name in named if not re.search(rf"(?m)^(# TYPE )?{name}\b", text)} == set()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_a_real_prometheus_sees_a_job_fail(failing: Host, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES / "jobd.rules.yml")],
        "scrape_configs": [
            {"job_name": "jobd", "static_configs": [{"targets": [failing.status()["metrics_address"]]}]}
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        fired = until(lambda: firing(port), 200.0, "an alert fires")
        assert ("JobdJobFailing", "sour") in fired and ("JobdJobFailing", "sweet") not in fired
        groups = asked(port, "rules")["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
        for query in (query for panel in PANELS for query in queries(panel)):
            assert "result" in asked(port, "query?query=" + quote(as_asked(query))), query
    finally:
        server.terminate()
        server.wait(20)


def firing(port: int) -> set[tuple[str, str]]:
    try:
        alerts = asked(port, "alerts")["alerts"]
    except OSError:
        time.sleep(0.5)  # it listens some seconds after its start
        return set()
    labels = [one["labels"] for one in alerts if one["state"] == "firing"]
    return {(one["alertname"], one.get("job_name", "")) for one in labels}


def asked(port: int, what: str) -> Any:
    return json.loads(scraped(f"http://127.0.0.1:{port}/api/v1/{what}"))["data"]

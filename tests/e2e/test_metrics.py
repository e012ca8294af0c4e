"""Every metric that is promised, as a real daemon serves it, in both formats."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_text

from jobd.core.errors import JobdError
from jobd.observe.declared import METRICS
from tests.e2e.daemon import Host, host, until

# Name, kind and labels: what dashboards and alerts elsewhere are written against. Add to it, and change nothing.
PROMISED = """
jobd_build_info info version python
jobd_start_time_seconds gauge
jobd_config_last_reload_successful gauge
jobd_config_last_reload_success_timestamp_seconds gauge
jobd_definition_errors gauge
jobd_jobs gauge state
jobd_runs_submitted_total counter queue
jobd_runs_finished_total counter job_name queue outcome
jobd_attempts_total counter job_name queue outcome
jobd_runs_retried_total counter queue
jobd_dead_letters gauge queue
jobd_run_duration_seconds histogram queue
jobd_run_wait_seconds histogram queue
jobd_queue_depth gauge queue state
jobd_queue_oldest_seconds gauge queue
jobd_queue_limit gauge queue
jobd_rate_limit_tokens gauge queue
jobd_job_last_success_timestamp_seconds gauge job_name
jobd_job_last_failure_timestamp_seconds gauge job_name
jobd_job_next_run_timestamp_seconds gauge job_name
jobd_job_last_run_exit_code gauge job_name
jobd_job_running gauge job_name
jobd_job_paused gauge job_name
jobd_job_late gauge job_name check
jobd_slots_total counter disposition
jobd_scheduler_lag_seconds histogram
jobd_workers gauge state
jobd_store_commit_seconds histogram
jobd_store_group_size histogram
jobd_store_size_bytes gauge
jobd_store_wal_bytes gauge
jobd_store_disk_free_bytes gauge
jobd_store_disk_size_bytes gauge
jobd_rescued_attempts_total counter how
jobd_leftover_processes_total counter
jobd_clock_steps_total counter
jobd_sink_events_total counter sink result
"""
TABLE = [(name, kind, tuple(labels)) for name, kind, *labels in map(str.split, PROMISED.strip().splitlines())]
SETTINGS = """
tracing: {endpoint: 'http://127.0.0.1:9'}
queues: {mail: {max_running: 2, rate_limit: 1000/min}}
drain_timeout: 5s
"""
JOBS = """
jobs:
  sweet: {command: ['true'], schedule: every 1s, expect: {max_runtime: 1h}}
  sour: {command: ['false'], queue: mail, retry: {strategy: fixed, base: 10ms, max_attempts: 2}}
"""


def scraped(host: Host, accept: str = "") -> str:
    address = f"http://{host.status()['metrics_address']}/metrics"
    with urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": accept}), timeout=10) as answer:
        text: str = answer.read().decode()
        return text


@pytest.fixture(scope="module")
def busy() -> Iterator[Host]:
    """A daemon that has something to tell of everything."""
    with (
        tempfile.TemporaryDirectory(prefix="jobd-", ignore_cleanup_errors=True) as directory,
        host(Path(directory), SETTINGS) as made,
    ):
        made.define("jobs", JOBS)
        made.start()
        with made.client() as client:
            client.wait(int(client.submit("sour")))
        until(lambda: 'jobd_job_last_success_timestamp_seconds{job_name="sweet"}' in scraped(made))
        until(lambda: 'jobd_sink_events_total{sink="otel"' in scraped(made), what="spans are counted")
        yield made


@pytest.fixture(scope="module")
def text(busy: Host) -> dict[str, Metric]:
    return {_name(family): family for family in read_text(scraped(busy))}


@pytest.fixture(scope="module")
def openly(busy: Host) -> dict[str, Metric]:
    return {_name(family): family for family in read_open(scraped(busy, "application/openmetrics-text"))}


def _name(family: Metric) -> str:
    return family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")


def test_the_promised_metrics_are_those_that_are_declared() -> None:
    assert {(one.name, one.kind.value, one.labels) for one in METRICS} == set(TABLE)


@pytest.mark.parametrize(("name", "kind", "labels"), TABLE, ids=[name for name, _, _ in TABLE])
def test_a_metric_is_served_as_it_is_promised(
    text: dict[str, Metric], openly: dict[str, Metric], name: str, kind: str, labels: tuple[str, ...]
) -> None:
    (declared,) = (one for one in METRICS if one.name == name)
    for found, expected in ((text[name], "gauge" if kind == "info" else kind), (openly[name], kind)):
        assert (found.type, found.documentation) == (expected, declared.text)
        assert found.samples, "nothing is told"
        assert {tuple(sorted(set(sample.labels) - {"le"})) for sample in found.samples} == {tuple(sorted(labels))}
        buckets = [sample.labels["le"] for sample in found.samples if sample.name.endswith("_bucket")]
        assert set(buckets) == ({*map(str, declared.bounds), "+Inf"} if kind == "histogram" else set())


def test_nothing_is_served_that_is_not_promised(text: dict[str, Metric], openly: dict[str, Metric]) -> None:
    assert set(text) == set(openly) == {name for name, _, _ in TABLE}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say(busy: Host) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=scraped(busy), capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_job_that_is_taken_out_has_no_series_any_more(busy: Host) -> None:
    path = busy.define("gone", "jobs:\n  gone: {command: ['true']}\n")

    def submitted() -> int:
        try:
            with busy.client() as client:
                return int(client.submit("gone"))
        except JobdError:
            return 0  # not in force yet

    busy.ended(until(submitted))
    assert 'job_name="gone"' in scraped(busy)
    path.unlink()
    until(lambda: 'job_name="gone"' not in scraped(busy), what="its series are gone")


def test_a_reload_that_fails_is_no_success(busy: Host) -> None:
    def at() -> float:
        (line,) = (one for one in scraped(busy).splitlines() if one.startswith("jobd_config_last_reload_success_t"))
        return float(line.split()[1])

    before = at()
    path = busy.define("broken", "jobs: [")
    until(lambda: "jobd_config_last_reload_successful 0\n" in scraped(busy))
    assert at() == before
    path.unlink()
    until(lambda: "jobd_config_last_reload_successful 1\n" in scraped(busy))
    assert at() > before

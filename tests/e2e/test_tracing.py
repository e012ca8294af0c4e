"""Spans of runs and attempts, as a collector of traces gets them from a real daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.collector import Collector, Seen, collecting
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import ROOT, Host, host, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"
SECRET = "correct-horse-battery"
JOBS = f"""
jobs:
  again:
    shell: 'echo $TRACEPARENT; test $JOBD_ATTEMPT = 2'
    retry: {{strategy: fixed, base: 10ms, max_attempts: 2}}
    then: [after]
  after: {{command: ['true']}}
  sour: {{shell: 'echo {SECRET}; echo {SECRET} >&2; exit 3'}}
  told: {{shell: 'echo $TRACEPARENT'}}
  submits: {{python: 'nested:submit'}}
  slow: {{shell: 'test $JOBD_ATTEMPT = 2', retry: {{strategy: fixed, base: 2s, max_attempts: 2}}}}
"""
NESTED = """
import os
from jobd.client import Client
def submit(payload, context):
    with Client(payload["socket"]) as jobd:
        return [jobd.submit("told"), jobd.submit("told", traceparent=payload["other"]),
                *jobd.submit_many([{"job": "told"}]), os.environ["TRACEPARENT"]]
"""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[Host]:
    """One daemon for the whole module, whose spans the collector gets."""
    settings = f"tracing: {{endpoint: '{collector.endpoint}'}}\ndrain_timeout: 5s\n"
    with (
        tempfile.TemporaryDirectory(prefix="jobd-", ignore_cleanup_errors=True) as directory,
        host(Path(directory), settings) as made,
    ):
        made.define("jobs", JOBS)
        made.script("nested.py", NESTED)
        yield made.start()


def spans_of(collector: Collector, run: int, count: int) -> dict[str, Seen]:
    """The run's span as "run", those of its attempts by their numbers, once all are there."""
    until(lambda: len(collector.of(run)) >= count, what=f"the spans of run {run}")
    found = collector.of(run)
    assert len(found) == count
    return {str(one.attributes.get("jobd.attempt", "run")): one for one in found}


def test_a_run_with_a_retry_is_one_span_with_two_below_it(traced: Host, collector: Collector) -> None:
    with traced.client() as client:
        run = int(client.submit("again", {"password": SECRET}, traceparent=PARENT, tracestate="a=b"))
    found = traced.ended(run)
    spans = spans_of(collector, run, 3)
    whole, first, second = spans["run"], spans["1"], spans["2"]
    assert (whole.trace, whole.parent, whole.state) == (TRACE, SPAN, "a=b")
    assert {first.trace, second.trace} == {TRACE}
    assert {first.parent, second.parent} == {whole.span}
    assert len({whole.span, first.span, second.span, SPAN}) == 4
    assert (whole.status, first.status, second.status) == (1, 2, 1)
    assert first.description == "failed, exit code 1"
    assert whole.start <= first.start <= first.end <= second.start <= second.end <= whole.end
    assert (whole.name, first.name) == ("run again", "attempt again")
    said = {key: whole.attributes[f"jobd.{key}"] for key in ("job", "queue", "trigger", "state", "outcome")}
    assert said == {key: found[key] for key in ("job", "queue", "trigger", "state", "outcome")}
    assert whole.resource["service.name"] == "jobd"
    for number, span in ((1, first), (2, second)):
        expected = f"00-{TRACE}-{span.span}-01\n"
        assert traced.output(run, attempt=number).decode() == expected
    # The run that came along is part of the same trace, and linked to the one it waited for.
    with traced.client() as client:
        (child,) = (one["id"] for one in client.tree(run)["items"] if one["job"] == "after")
    below = spans_of(collector, child, 2)["run"]
    assert (below.trace, below.links) == (TRACE, ((TRACE, whole.span),))
    assert whole.links == ()


def test_no_span_carries_a_payload_an_output_or_a_secret(traced: Host, collector: Collector) -> None:
    with traced.client() as client:
        run = int(client.submit("sour", {"token": SECRET}, max_attempts=1))
        client.wait(run)
    spans = spans_of(collector, run, 2)
    assert {one.status for one in spans.values()} == {2}
    assert spans["run"].parent == "" and spans["1"].parent == spans["run"].span
    assert spans["run"].attributes["process.exit.code"] == 3
    assert not any(SECRET.encode() in body for _, _, body in collector.posts)
    assert {path for path, _, _ in collector.posts} == {"/v1/traces"}


def test_what_a_job_submits_is_below_the_attempt_that_does(traced: Host, collector: Collector) -> None:
    other = f"00-{'ab' * 16}-{'cd' * 8}-01"
    with traced.client() as client:
        above = int(client.submit("submits", {"socket": traced.socket, "other": other}, traceparent=PARENT))
        ids = client.result(above)
    attempt = spans_of(collector, above, 2)["1"]
    assert ids[3] == f"00-{TRACE}-{attempt.span}-01"
    for run, trace, parent in (
        (ids[0], TRACE, attempt.span),
        (ids[1], "ab" * 16, "cd" * 8),
        (ids[2], TRACE, attempt.span),
    ):
        below = spans_of(collector, run, 2)["run"]
        assert (below.trace, below.parent) == (trace, parent)


def test_what_is_not_sampled_is_handed_on_and_not_recorded(traced: Host, collector: Collector) -> None:
    with traced.client() as client:
        unseen = int(client.submit("told", traceparent=UNSAMPLED))
        client.wait(unseen)
        seen = int(client.submit("told"))
        client.wait(seen)
    spans_of(collector, seen, 2)
    assert collector.of(unseen) == []
    said = traced.output(unseen).decode()
    assert said.startswith(f"00-{TRACE}-") and said.endswith("-00\n") and SPAN not in said


def test_a_daemon_that_takes_over_between_two_attempts_keeps_the_ids(traced: Host, collector: Collector) -> None:
    with traced.client() as client:
        run = int(client.submit("slow", traceparent=PARENT))
    until(lambda: traced.run(run)["state"] == "retrying")
    until(lambda: collector.of(run), what="the span of the first attempt")
    traced.kill()
    traced.start()
    assert traced.ended(run)["attempts"] == 2
    spans = spans_of(collector, run, 3)
    assert {spans["1"].parent, spans["2"].parent} == {spans["run"].span}
    assert {one.trace for one in spans.values()} == {TRACE}


def test_a_reload_of_the_settings_goes_on_recording(traced: Host, collector: Collector) -> None:
    settings = traced.config.read_text()
    traced.config.write_text(settings + "queues: {other: {max_running: 1}}\n")
    with traced.client() as client:
        client.reload()
        run = int(client.submit("told", queue="other"))
        assert client.queues() and client.wait(run)["state"] == "succeeded"
    spans = spans_of(collector, run, 2)
    assert traced.output(run).decode() == f"00-{spans['run'].trace}-{spans['1'].span}-01\n"


def test_a_run_tried_again_by_hand_has_a_span_for_each_of_its_lives(traced: Host, collector: Collector) -> None:
    with traced.client() as client:
        run = int(client.submit("sour", max_attempts=1))
        client.wait(run)
        client.retry(run)
        client.wait(run)
    until(lambda: len(collector.of(run)) >= 4, what="the spans of both lives")
    lives = [one for one in collector.of(run) if "jobd.attempt" not in one.attributes]
    attempts = [one for one in collector.of(run) if "jobd.attempt" in one.attributes]
    assert len({one.trace for one in collector.of(run)}) == 1
    assert {one.parent for one in attempts} == {one.span for one in lives} and len(lives) == 2
    assert lives[0].end <= lives[1].start


def sink_events(host: Host, result: str) -> float:
    address = host.status()["metrics_address"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    wanted = f'jobd_sink_events_total{{sink="otel",result="{result}"}}'
    return sum(float(line.split()[-1]) for line in lines if line.startswith(wanted))


def test_a_collector_that_refuses_loses_spans_and_no_runs(traced: Host, collector: Collector) -> None:
    lost = sink_events(traced, "lost")
    collector.answer = 400
    with traced.client() as client:
        runs = [int(client.submit("told")) for _ in range(5)]
        assert {client.wait(run)["state"] for run in runs} == {"succeeded"}
        until(lambda: sink_events(traced, "lost") >= lost + 10, what="what was lost is counted")
        warned = [one for one in client.status()["problems"] if one.startswith("tracing: ")]
        assert warned == [f"tracing: the collector at {collector.endpoint} takes no spans"]
        assert "otel" not in str(client.status()["degraded"])
        collector.answer = 200
        client.wait(int(client.submit("told")))
        until(
            lambda: "tracing: " not in str(client.status()["problems"]), what="the warning goes when spans arrive again"
        )


def test_a_key_for_the_collector_comes_from_a_file_and_is_on_no_command_line(make_host: MakeHost) -> None:
    with collecting() as collector:
        shop = make_host(
            f"tracing: {{endpoint: '{collector.endpoint}/shop/', headers_file: key, service_name: shop}}\n"
        )
        (shop.directory / "key").write_text(f"Authorization: Bearer {SECRET}\n")
        shop.start()
        with shop.client() as client:
            run = int(client.submit_command(["true"]))
            client.wait(run)
        assert {one.resource["service.name"] for one in spans_of(collector, run, 2).values()} == {"shop"}
        path, headers, _ = collector.posts[0]
        assert (path, headers["authorization"]) == ("/shop/v1/traces", f"Bearer {SECRET}")
        assert not any(SECRET in line for line in shop.processes().values())
        assert shop.end() == 0


WITHOUT_THE_SDK = """
import sys, importlib.abc
class Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Gone())
from jobd.cli.daemon import main
main()
"""


def test_where_the_sdk_is_missing_that_is_said_with_the_place_and_the_next_step(make_host: MakeHost) -> None:
    bare = make_host("tracing: {endpoint: 'http://127.0.0.1:4318'}\n")
    command = [sys.executable, "-c", WITHOUT_THE_SDK, "--config", str(bare.config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, env=os.environ)
    assert done.returncode == 78
    assert f"{bare.config}:6:10: tracing: needs the OpenTelemetry SDK" in done.stderr
    assert "pip install 'jobd[otel]'" in done.stderr


def test_a_daemon_without_tracing_does_not_import_the_sdk(make_host: MakeHost) -> None:
    plain = make_host("logging: {format: json}\n").start()
    assert plain.process is not None
    for pid in (plain.process.pid, *plain.family()):
        assert "google/_upb" not in Path(f"/proc/{pid}/maps").read_text()
    assert all(json.loads(line)["message"] for line in plain.log().splitlines())

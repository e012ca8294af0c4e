"""SIGTERM with work under way: each job ends, waits, starts over or goes on as it says (SEMANTICS, Shutdown)."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, is_alive, until


def define(host: Host, **jobs: str) -> None:
    """Jobs that write their pid as they start, and then wait for a file to end; each with words of its own."""
    lines = []
    for name, words in jobs.items():
        begun, go = host.directory / f"{name}.begun", host.directory / f"{name}.go"
        text = f"#!/bin/sh\necho $$ >> {begun}\nwhile [ ! -e {go} ]; do sleep 0.02; done\necho done\n"
        program = host.script(name, text)
        lines.append(f"  {name}: {{command: [{program}], kill_after: 2s, {words}}}")
    host.define("jobs", "\n".join(["jobs:", *lines, ""]))
    with host.client() as client:
        until(lambda: set(jobs) <= {job["name"] for job in client.jobs()})


def begin(host: Host, name: str, **options: Any) -> tuple[int, int]:
    """Submit a run and wait until its process is there and jobd has noted it: (run, pid)."""
    with host.client() as client:
        run = int(client.submit(name, **options))
        (pid,) = until(lambda: pids(host, name))
        until(lambda: any(attempt["pid"] == pid for attempt in client.attempts(run)))
    return run, pid


def pids(host: Host, name: str) -> list[int]:
    path = host.directory / f"{name}.begun"
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def let_end(host: Host, name: str) -> Path:
    go = host.directory / f"{name}.go"
    go.touch()
    return go


def outcomes(host: Host, run: int) -> list[str | None]:
    with host.client() as client:
        return [attempt["outcome"] for attempt in client.attempts(run)]


def test_each_job_has_its_way_when_jobd_ends(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 6}\ndrain_timeout: 300ms\n").start()
    wishes = {"stopped": "stop", "again": "requeue", "apart": "detach", "waited": "wait"}
    define(host, late="on_shutdown: wait", **{name: f"on_shutdown: {wish}" for name, wish in wishes.items()})
    runs = {name: begin(host, name, max_attempts=1) for name in wishes}
    process = host.process
    assert process is not None
    host.family()
    process.send_signal(signal.SIGTERM)
    until(lambda: not is_alive(runs["stopped"][1]) and not is_alive(runs["again"][1]))
    assert process.poll() is None, "it waits, for ever where there is no service manager to say how long"
    assert is_alive(runs["waited"][1]) and is_alive(runs["apart"][1])
    with host.client() as client:
        late = int(client.submit("late"))
    let_end(host, "waited")
    assert process.wait(20) == 0
    assert is_alive(runs["apart"][1]), "left for the next jobd"
    assert not pids(host, "late"), "what was submitted meanwhile is accepted, and starts with the next jobd"
    let_end(host, "again")
    let_end(host, "late")
    host.start()
    let_end(host, "apart")
    ended = {name: host.ended(run) for name, (run, _) in runs.items()} | {"late": host.ended(late)}
    assert {name: one["state"] for name, one in ended.items()} == {
        "stopped": "failed", "again": "succeeded", "apart": "succeeded", "waited": "succeeded", "late": "succeeded",
    }  # fmt: skip
    assert outcomes(host, runs["stopped"][0]) == ["interrupted"]
    assert outcomes(host, runs["again"][0]) == ["interrupted", "succeeded"], "its only attempt was given back"
    assert outcomes(host, runs["apart"][0]) == outcomes(host, runs["waited"][0]) == ["succeeded"]
    assert host.output(runs["apart"][0]) == b"done\n"


@pytest.mark.slow
def test_a_second_signal_ends_jobd_at_once_and_its_jobs_with_it(make_host: MakeHost) -> None:
    host = make_host("drain_timeout: 60s\n").start()
    define(host, long="on_shutdown: wait, retry: {max_attempts: 1}")
    run, pid = begin(host, "long")
    process = host.process
    assert process is not None
    host.family()
    process.send_signal(signal.SIGTERM)
    until(lambda: "ending; 1 attempt" in host.log())
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    until(lambda: not is_alive(pid))
    let_end(host, "long")
    host.start()
    assert host.ended(run)["state"] == "succeeded"
    assert outcomes(host, run) == ["interrupted", "succeeded"]


@pytest.mark.slow
def test_a_retry_that_is_due_later_waits_through_a_restart(make_host: MakeHost) -> None:
    host = make_host("drain_timeout: 300ms\n").start()
    host.define(
        "f", "jobs: {f: {command: ['false'], retry: {strategy: fixed, base: 1h, jitter: 0, max_attempts: 2}}}\n"
    )
    with host.client() as client:
        until(lambda: "f" in {job["name"] for job in client.jobs()})
        run = int(client.submit("f"))
        before = until(lambda: (found := client.run(run))["state"] == "retrying" and found)
    assert isinstance(before, dict)
    assert host.end() == 0
    host.start()
    after = host.run(run)
    assert (after["state"], after["run_at"], after["attempts"]) == ("retrying", before["run_at"], 1)


@pytest.mark.slow
def test_an_attempt_that_goes_on_under_the_next_jobd_counts_against_its_workers(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 1}\ndrain_timeout: 300ms\n").start()
    define(host, apart="on_shutdown: detach", quick="on_shutdown: wait")
    first, _ = begin(host, "apart")
    host.family()
    assert host.end() == 0
    host.start()
    let_end(host, "quick")
    with host.client() as client:
        second = int(client.submit("quick"))
        until(lambda: any(one["state"] == "adopted" for one in client.status()["workers"]["items"]))
    let_end(host, "apart")
    one, other = host.ended(first), host.ended(second)
    assert one["state"] == other["state"] == "succeeded"
    assert other["started_at"] >= one["finished_at"], "one worker is all there may be"

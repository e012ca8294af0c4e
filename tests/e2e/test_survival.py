"""kill -9 of each part of jobd while a job runs: what goes on, what is found again, what is never started twice."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, children, is_alive, until


def define(host: Host, name: str, script: str, *more: str) -> Path:
    """A job that writes `RUN.ATTEMPT PID` to a file as it starts, and then does what the script says."""
    starts = host.directory / f"{name}.starts"
    text = f"echo $JOBD_RUN_ID.$JOBD_ATTEMPT $$ >> {starts}; {script}"
    host.define(name, "\n".join([f"jobs:\n  {name}:", f"    shell: {json.dumps(text)}", *(f"    {m}" for m in more)]))
    return starts


def begin(host: Host, name: str, starts: Path, **options: Any) -> tuple[int, int]:
    """Submit a run and wait until it has started: (run, pid)."""
    with host.client() as client:
        until(lambda: name in {job["name"] for job in client.jobs()})
        run = int(client.submit(name, **options))
    line = until(lambda: starts.exists() and starts.read_text().splitlines())
    assert line
    return run, int(line[-1].split()[1])


def started_once(starts: Path) -> bool:
    return len(starts.read_text().splitlines()) == 1


def test_a_job_goes_on_when_the_daemon_is_killed_and_is_found_again(daemon: Host) -> None:
    go = daemon.directory / "go"
    starts = define(daemon, "steady", f"echo before; while [ ! -e {go} ]; do sleep 0.05; done; echo after; exit 0")
    run, pid = begin(daemon, "steady", starts)
    daemon.kill()
    assert is_alive(pid)
    daemon.start()
    assert daemon.run(run)["state"] == "running"
    assert is_alive(pid)
    go.touch()
    ended = daemon.ended(run)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 1)
    assert daemon.output(run) == b"before\nafter\n"
    assert started_once(starts)


def test_a_job_that_ends_while_no_daemon_is_there_is_reported_later(daemon: Host) -> None:
    go = daemon.directory / "go"
    starts = define(daemon, "alone", f"while [ ! -e {go} ]; do sleep 0.02; done; echo done; exit 7")
    run, pid = begin(daemon, "alone", starts, max_attempts=1)
    daemon.kill()
    go.touch()
    until(lambda: not is_alive(pid))
    daemon.start()
    ended = daemon.ended(run)
    assert (ended["state"], ended["outcome"], ended["exit_code"]) == ("failed", "failed", 7)
    assert daemon.output(run) == b"done\n"
    assert started_once(starts)


@pytest.mark.slow
def test_an_adopted_job_can_be_cancelled(daemon: Host) -> None:
    starts = define(daemon, "endless", "exec sleep 60")
    run, pid = begin(daemon, "endless", starts)
    daemon.kill()
    daemon.start()
    with daemon.client() as client:
        client.cancel(run)
    assert daemon.ended(run)["state"] == "cancelled"
    assert not is_alive(pid)
    assert started_once(starts)


@pytest.mark.slow
def test_a_cancel_that_the_daemon_did_not_live_to_carry_out_is_carried_out_by_the_next(daemon: Host) -> None:
    starts = define(daemon, "deaf", "trap '' TERM; while :; do sleep 0.1; done", "kill_after: 1s")
    run, pid = begin(daemon, "deaf", starts)
    with daemon.client() as client:
        client.cancel(run)
    daemon.kill()
    daemon.start()
    assert daemon.ended(run)["state"] == "cancelled"
    assert not is_alive(pid)


@pytest.mark.slow
def test_the_timeout_of_an_adopted_job_stays_in_force(daemon: Host) -> None:
    starts = define(daemon, "late", "exec sleep 60", "timeout: 2s", "kill_after: 300ms")
    began = time.monotonic()
    run, pid = begin(daemon, "late", starts, max_attempts=1)
    daemon.kill()
    daemon.start()
    ended = daemon.ended(run)
    assert ended["outcome"] == "timeout"
    assert time.monotonic() - began < 30
    assert not is_alive(pid)


@pytest.mark.slow
@pytest.mark.parametrize("times", [3])
def test_a_job_outlives_several_daemons(daemon: Host, times: int) -> None:
    go = daemon.directory / "go"
    starts = define(daemon, "steady", f"while [ ! -e {go} ]; do sleep 0.05; done")
    run, _ = begin(daemon, "steady", starts)
    for _ in range(times):
        daemon.kill()
        daemon.start()
    go.touch()
    assert daemon.ended(run)["state"] == "succeeded"
    assert started_once(starts)


def worker_of(host: Host, run: int) -> int:
    with host.client() as client:
        attempt: dict[str, Any] = until(lambda: client.attempts(run))[-1]
    return int(attempt["worker_pid"])


def test_an_attempt_whose_worker_is_killed_is_lost_and_tried_again(daemon: Host) -> None:
    once = daemon.directory / "once"
    starts = define(daemon, "torn", f"test -e {once} || {{ touch {once}; exec sleep 60; }}")
    run, pid = begin(daemon, "torn", starts)
    until(once.exists)
    os.kill(worker_of(daemon, run), signal.SIGKILL)
    ended = daemon.ended(run)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 2)
    assert not is_alive(pid), "no process of the first attempt outlives it"
    with daemon.client() as client:
        assert [one["outcome"] for one in client.attempts(run)] == ["lost", "succeeded"]


@pytest.mark.slow
def test_an_attempt_that_is_lost_fails_where_its_job_says_so(daemon: Host) -> None:
    starts = define(daemon, "torn", "exec sleep 60", "on_lost: fail")
    run, pid = begin(daemon, "torn", starts)
    os.kill(worker_of(daemon, run), signal.SIGKILL)
    ended = daemon.ended(run)
    assert (ended["state"], ended["outcome"], ended["attempts"]) == ("failed", "lost", 1)
    assert not is_alive(pid)
    assert started_once(starts)


@pytest.mark.slow
def test_a_forkserver_that_is_killed_is_replaced(daemon: Host) -> None:
    assert daemon.process is not None
    (forkserver,) = children(daemon.process.pid)
    daemon.family()
    os.kill(forkserver, signal.SIGKILL)
    with daemon.client() as client:
        run = client.submit_command(["echo", "still"])
        assert client.wait(run, 15)["state"] == "succeeded"


HOSTILE = {
    "a process that ignores TERM": "trap '' TERM HUP INT; while :; do sleep 0.1; done",
    "a child in a session of its own": (
        "setsid sh -c 'trap \"\" TERM; echo $$ >> {pids}; while :; do sleep 0.1; done' & while :; do sleep 0.1; done"
    ),
    "a background child whose parent ended": "(sh -c 'echo $$ >> {pids}; exec sleep 60' &); exec sleep 60",
}


@pytest.mark.parametrize(
    "shape", [pytest.param(shape, marks=pytest.mark.slow if n else ()) for n, shape in enumerate(sorted(HOSTILE))]
)
def test_no_process_of_an_attempt_lives_when_its_retry_starts(daemon: Host, shape: str) -> None:
    """B6: daemon, forkserver and worker are killed at once; the job and its children are left to themselves."""
    pids, overlap, once = (daemon.directory / name for name in ("pids", "overlap", "once"))
    body = HOSTILE[shape].format(pids=pids)
    # The second attempt looks for every process of the first before it does anything else.
    lives = "[ -d /proc/$p ] && ! grep -q '^State:.Z' /proc/$p/status"
    look = f"for p in $(cat {pids}); do {lives} && echo $p >> {overlap}; done"
    starts = define(
        daemon, "hostile", f"if [ -e {once} ]; then {look}; exit 0; fi; touch {once}; echo $$ >> {pids}; {body}"
    )
    run, pid = begin(daemon, "hostile", starts)
    expected = 1 if "{pids}" not in HOSTILE[shape] else 2
    until(lambda: pids.exists() and len(pids.read_text().split()) == expected)
    daemon.kill_everything()
    daemon.start()
    ended = daemon.ended(run, 30)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 2)
    assert not overlap.exists(), f"alive when the retry started: {overlap.read_text()}"
    assert not any(is_alive(int(one)) for one in (str(pid), *pids.read_text().split()))


@pytest.mark.slow
def test_accepted_runs_wait_through_a_kill_in_order(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 1}\n")
    log = host.directory / "order"
    host.define("one", f"jobs:\n  one: {{shell: 'sleep 0.05; echo $JOBD_RUN_ID >> {log}'}}\n")
    host.start()
    with host.client() as client:
        runs = client.submit_many([{"job": "one", "payload": {"n": n}} for n in range(12)])
        until(log.exists)
    host.kill()
    host.start()
    ended = {run: host.ended(run) for run in runs}
    assert {one["state"] for one in ended.values()} == {"succeeded"}
    # What the one worker was given just then may be lost on the way, and is tried again when it is its turn anew.
    waited = [run for run in runs if ended[run]["attempts"] == 1]
    assert len(waited) >= len(runs) - 1
    assert [run for run in map(int, log.read_text().split()) if run in waited] == waited

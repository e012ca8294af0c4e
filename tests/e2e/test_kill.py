"""Signals that somebody sends to a run: they reach all of it and nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from jobd.core.errors import Conflict
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import ROOT, Host, is_alive, until

TREE = """
import os, signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: (os.write(1, b"told %d\\n" % os.getpid())))
signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
if os.fork() == 0:
    os.setsid()
    os.write(1, b"here %d\\n" % os.getpid())
else:
    os.write(1, b"here %d\\n" % os.getpid())
while True:
    signal.pause()
"""


def pids(host: Host, run: int, word: str) -> set[int]:
    lines = host.output(run).decode().split("\n")[:-1]
    return {int(line.split()[1]) for line in lines if line.startswith(word)}


def test_a_signal_reaches_the_whole_tree_also_what_left_its_session(served: Host) -> None:
    script = served.script("tree.py", TREE)
    with served.client() as client:
        run = client.submit_command([sys.executable, str(script)], max_attempts=1)
        until(lambda: len(pids(served, run, "here")) == 2, what="both processes are there")
        there = pids(served, run, "here")
        said = client.kill(run, "USR1")
        assert said | {"pids": sorted(said["pids"])} == {
            "id": run, "attempt": 1, "signal": "SIGUSR1", "number": 10, "pids": sorted(there),
        }  # fmt: skip
        until(lambda: pids(served, run, "told") == there, what="both were told")
        client.kill(run)
    ended = served.ended(run)
    assert (ended["state"], ended["exit_code"]) == ("failed", 9)
    until(lambda: not any(map(is_alive, there)), what="nothing of it lives")


def test_a_killed_run_tells_the_signal_and_what_its_attempt_used(served: Host) -> None:
    with served.client() as client:
        run = client.submit_command(["/bin/sleep", "600"], max_attempts=1)
        until(lambda: client.run(run)["state"] == "running" and _sent(client, run, "KILL"), what="it is killed")
    ended = served.ended(run)
    assert (ended["outcome"], ended["exit_code"]) == ("killed", 137)
    table = ctl(served, "attempts", str(run))
    assert table.returncode == 0
    assert [word in table.stdout for word in ("killed", "137 (signal 9)", "WORKER", "CPU", "MEMORY")] == [True] * 5


def _sent(client: Any, run: int, name: str) -> bool:
    try:
        return bool(client.kill(run, name)["pids"])
    except Conflict:  # it has no process yet
        return False


def test_a_run_that_is_over_is_sent_nothing(served: Host) -> None:
    with served.client() as client:
        run = client.submit_command(["/bin/true"], max_attempts=1)
        served.ended(run)
        with pytest.raises(Conflict, match="a signal takes a run that is running"):
            client.kill(run)
    refused = ctl(served, "kill", str(run))
    assert (refused.returncode, "succeeded" in refused.stderr) == (1, True)
    assert ctl(served, "kill", str(run), "--signal", "NOPE").returncode == 2


def test_a_callable_inside_a_worker_is_no_target_and_its_worker_lives(served: Host) -> None:
    served.script("napping.py", "import time\ndef nap(payload): time.sleep(payload['seconds'])\n")
    served.define("nap", "jobs:\n  nap: {python: 'napping:nap', payload: {seconds: 600}}\n")
    with served.client() as client:
        client.reload()
        run = client.submit("nap")
        until(lambda: any(one["started_at"] for one in client.attempts(run)), what="it started")
        with pytest.raises(Conflict, match="isolate: true"):
            client.kill(run, "KILL")
        client.cancel(run)
    assert served.ended(run)["state"] == "cancelled"


def test_a_signal_reaches_an_attempt_that_outlived_its_daemon(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 2}\n").start()
    with host.client() as client:
        run = client.submit_command(["/bin/sleep", "600"], max_attempts=1)
        until(lambda: any(one["pid"] for one in client.attempts(run)), what="it started")
    host.kill()
    host.start()
    with host.client() as client:
        until(lambda: _sent(client, run, "TERM"), what="it is reached")
    assert host.ended(run)["outcome"] == "killed"


def ctl(host: Host, *args: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "jobd.cli.ctl", "--socket", host.socket, *args]
    return subprocess.run(
        program, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, env=os.environ | {"COLUMNS": "200"}
    )

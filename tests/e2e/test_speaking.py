"""What a run says of itself, as a user of jobd sees it: while it runs, over a crash of the daemon, and afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import ROOT, Host, until

SPEAKER = """
import os, pathlib, socket, sys, time
own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
own.connect(os.environ["NOTIFY_SOCKET"])
own.send(b"STATUS=copying token=hunter2hunter2\\nPROGRESS=0.5")
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.02)
own.send(b"PROGRESS=0.75")
while not pathlib.Path(sys.argv[1] + "2").exists():
    time.sleep(0.02)
"""


@pytest.mark.parametrize("crashes", [False, True])
def test_a_running_run_shows_what_it_says_and_its_attempt_keeps_the_last(make_host: MakeHost, crashes: bool) -> None:
    host = make_host("workers: {max: 2}\n").start()
    script, gate = host.script("speaker.py", SPEAKER), host.directory / "gate"
    with host.client() as client:
        run = client.submit_command([sys.executable, str(script), str(gate)], max_attempts=1)
        until(lambda: client.run(run)["progress"] == 0.5, what="it says that it is half way")
        assert client.run(run)["status_text"] == "copying token=***"
        assert "[##########..........]  50% copying" in ctl(host, "show", str(run))
    if crashes:
        host.kill()
        host.start()
    with host.client() as client:
        until(lambda: client.run(run)["progress"] == 0.5, what="the next daemon knows it too")
        gate.touch()
        until(lambda: client.run(run)["progress"] == 0.75, what="it goes on")
        gate.with_name("gate2").touch()
        ended = host.ended(run)
        (attempt,) = client.attempts(run)
    assert (ended["state"], ended["progress"], ended["status_text"]) == ("succeeded", None, None)
    assert (attempt["progress"], attempt["status_text"]) == (0.75, "copying token=***")


def test_a_watchdog_in_a_definition_ends_what_falls_silent(served: Host) -> None:
    served.define("hangs", "jobs:\n  hangs: {command: [sleep, '600'], watchdog: 0.5s, kill_after: 1s}\n")
    with served.client() as client:
        assert client.reload()["problems"] == []
        run = client.submit("hangs", max_attempts=1)
    ended = served.ended(run)
    assert (ended["outcome"], ended["exit_code"]) == ("timeout", 124)
    assert "(watchdog)" in ended["error"]


def ctl(host: Host, *args: str) -> str:
    program = [sys.executable, "-m", "jobd.cli.ctl", "--socket", host.socket, *args]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout

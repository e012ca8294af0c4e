"""jobd-ctl on a real terminal: nothing a job wrote or was named moves it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobd.core.states import RunState
from tests.cli.daemon import Daemon, job, run, status
from tests.cli.test_terminal import HOSTILE

ROOT = Path(__file__).parent.parent.parent
BYTES = b"".join(text.encode("utf-8", "surrogatepass") + b"\n" for text in HOSTILE) + b"\xff\xfe \xc3"


def on_terminal(daemon: Daemon, *args: str, color: bool = False) -> bytes:
    """What a terminal of 100 columns is sent."""
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "JOBD_SOCKET": daemon.socket}
    if not color:
        environment["NO_COLOR"] = "1"
    program = [sys.executable, "-m", "jobd.cli.ctl", *args]
    child = subprocess.Popen(program, stdout=theirs, stderr=theirs, env=environment, cwd=ROOT)
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux tells the end of a terminal that way
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    child.wait(timeout=30)
    return shown


def raw_controls(shown: bytes) -> set[str]:
    text = shown.decode()
    hostile = [*range(0x20), *range(0x7F, 0xA0), 0x200E, 0x200F, 0x61C, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
    return {char for char in text if ord(char) in hostile} - {"\n", "\r", "\t"}


@pytest.mark.parametrize("follow", [(), ("-f",)], ids=["kept", "followed"])
def test_logs_escape_what_a_job_wrote(daemon: Daemon, follow: tuple[str, ...]) -> None:
    daemon.gets("/v1/runs/42", run())
    daemon.refuses("GET", "/v1/runs/42/output", 404, "not-found", "no such attempt")
    query = "stream=stdout&attempt=1&follow=1" if follow else "stream=stdout&follow=0"
    daemon.gets(f"/v1/runs/42/output?{query}", BYTES)
    shown = on_terminal(daemon, "logs", "--stdout", *follow, "42")
    assert raw_controls(shown) == set()
    assert rb"\x1b]52;c;" in shown
    assert "\ufffd".encode() in shown


def test_listings_escape_what_errors_say(daemon: Daemon) -> None:
    daemon.gets("/v1/runs", {"items": [run(id=n, error=text) for n, text in enumerate(HOSTILE)], "next_cursor": None})
    shown = on_terminal(daemon, "runs")
    assert raw_controls(shown) == set()
    assert len(shown.splitlines()) == len(HOSTILE) + 1


def test_refusals_escape_their_reason(daemon: Daemon) -> None:
    daemon.refuses("GET", "/v1/runs/42", 404, "not-found", "".join(HOSTILE))
    assert raw_controls(on_terminal(daemon, "show", "42")) == set()


def test_a_terminal_gets_colour_and_a_pipe_does_not(daemon: Daemon) -> None:
    daemon.gets("/v1/status", status(job(last=RunState.SUCCEEDED)))
    assert b"\x1b[32msucceeded" in on_terminal(daemon, "status", color=True)
    assert b"\x1b" not in on_terminal(daemon, "status")
    assert b"\x1b" not in on_terminal(daemon, "--no-color", "status", color=True)
    assert b"\x1b" not in on_terminal(daemon, "status", "--no-color", color=True)


def test_wait_draws_how_far_a_run_is_and_wipes_it_away(daemon: Daemon) -> None:
    daemon.gets("/v1/workload", {"items": [{"median_seconds": 60.0}]})
    going = run(state=RunState.RUNNING, finished_at=None) | {"progress": 0.5, "status_text": "copying \x1b[31m"}
    daemon.gets("/v1/runs/42/wait", going | {"final": False})
    shown = on_terminal(daemon, "wait", "42", "--timeout", "1200ms")
    assert b"\r\x1b[K" in shown
    assert b"[##########..........]  50% copying" in shown
    assert b"\x1b[31m" not in shown

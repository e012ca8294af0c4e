"""How long jobd takes to serve: from its start to READY=1, and `jobd-ctl status` there, with a long history."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import definitions, history
from bench.daemon import Daemon, daemon, room
from bench.paired import spread
from bench.table import Line

_RUNS = 1_000_000
_CASES = ((10_000, _RUNS, 5.0),)
"""Jobs, runs of history, and the most seconds that a start may take."""
_STATUS_SECONDS = 0.15


def measure(rounds: int) -> list[Line]:
    """A first start, one over what was there before, one after the edit of a file; and a client's look at the jobs."""
    return [line for count, runs, most in _CASES for line in _of(count, runs, most, max(3, rounds // 3))]


def _of(count: int, runs: int, most: float, rounds: int) -> list[Line]:
    warm, edited, looks, asked = [], [], [], []
    with room() as parent:
        jobs, state = parent / "jobs", parent / "state"
        definitions.write(jobs, count, definitions.mixed(count))
        state.mkdir()
        cold, _, _ = _start(state, jobs)
        if runs:
            history.fill(state / "jobd.db", runs)
        for number in range(rounds):
            file = jobs / f"job-{number:05}.yaml"
            taken, look, ask = _start(state, jobs)
            warm.append(taken)
            looks.append(look)
            asked.append(ask)
            file.write_text(file.read_text().replace("timeout: 30m", "timeout: 31m"))
            time.sleep(0.4)  # what was written just now is waited for by any start
            edited.append(_start(state, jobs)[0])
    what = f"{count:,} jobs, {runs:,} runs" if runs else f"{count:,} jobs"
    return [
        _line(f"first start to READY, {count:,} jobs", [cold], most),
        _line(f"start to READY, {what}", warm, most),
        _line(f"the same after an edit, {what}", edited, most),
        _line(f"`jobd-ctl status`, {what}", looks, _STATUS_SECONDS),
        _line(f"`jobd-ctl status JOB`, {what}", asked, _STATUS_SECONDS),
    ]


def _start(state: Path, jobs: Path) -> tuple[float, float, float]:
    """Seconds to READY=1, and what two questions of a client take then."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        address = os.path.join(directory, "notify")
        notify.bind(address)
        notify.settimeout(120)
        began = time.perf_counter()
        with daemon(workers=1, definitions=jobs, state=state, notify=address) as jobd:
            while b"READY=1" not in notify.recv(65536):
                pass
            taken = time.perf_counter() - began
            return taken, _look(jobd), _look(jobd, "job-00000")


def _look(jobd: Daemon, *more: str) -> float:
    command = [str(Path(sys.executable).with_name("jobd-ctl")), "--socket", jobd.socket, "status", *more]
    began = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _line(name: str, took: list[float], most: float) -> Line:
    times = spread(took)
    return Line(name, f"{times.median * 1e3:,.0f} ms", aim=f"<= {most * 1e3:,.0f} ms", met=times.median <= most)

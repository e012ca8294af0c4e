"""jobd beside other queues in the same rounds: durable submits, runs that do nothing, and idle latency."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from bench.daemon import ROOT, Daemon, daemon
from bench.load import Load
from bench.paired import percentile, rounds
from bench.table import Line, compared
from bench.throughput import burn

_PLACE, _HERE = ROOT / "build" / "peers", Path(__file__).resolve().parent / "peers"
_PROMISES = {
    "huey": "huey, SQLite FULL",
    "rq": "RQ, Redis appendfsync always",
    "beanstalkd": "beanstalkd -f 0",
    "procrastinate": "procrastinate, PostgreSQL",
    "plainjob": "plainjob, SQLite NORMAL (its default)",
    "plainjob-full": "plainjob, SQLite FULL",
}
_SECONDS, _SAMPLES, _RUNS = 0.5, 20, 1500


class Beside:
    """One peer's program, in a directory of its own on the disk that jobd's state is on."""

    def __init__(self, name: str) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix=f"peer-{name}-", dir=ROOT / "build"))
        words = {"PEER_DIRECTORY": str(self._directory), "PEER_NODE": str(_PLACE / "node")}
        if name.endswith("-full"):
            words["PEER_FULL"] = "1"
        program = _HERE / f"with_{name.removesuffix('-full')}.py"
        self._process = subprocess.Popen(
            [str(_PLACE / "venv" / "bin" / "python"), str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **words},
        )

    def ask(self, do: str, **words: Any) -> Any:
        """What the program measured. Raises RuntimeError where it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **words}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peer's program has ended; what it said is above")
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        shutil.rmtree(self._directory, ignore_errors=True)


def measure(count: int) -> list[Line]:
    """Every peer that can be had here; the others are named on stderr."""
    (ROOT / "build").mkdir(exist_ok=True)
    subprocess.run([str(_HERE / "setup")], check=True)
    lines: list[Line] = []
    for name, promise in _PROMISES.items():
        try:
            lines += _of(name, count)
        except (RuntimeError, OSError) as error:
            print(f"bench: {promise} could not be measured: {error}", file=sys.stderr)
    return lines


def _of(name: str, count: int) -> list[Line]:
    with ExitStack() as stack:
        beside = Beside(name)
        stack.callback(beside.close)
        beside.ask("submit", clients=1, seconds=0.1)
        jobd = stack.enter_context(daemon(workers=2))
        load = Load(jobd.socket)
        stack.callback(load.close)
        burn(jobd, "call", _RUNS)
        lines = []
        for clients in (1, 8):
            lines.append(_submits(name, beside, load, clients, count))
        lines.append(_calls(name, beside, jobd, count))
        lines.append(_latency(name, beside, jobd))
    return lines


def _submits(name: str, beside: Beside, load: Load, clients: int, count: int) -> Line:
    case, peer = f"durable submits, {clients} client{'s' * (clients > 1)}", _PROMISES[name]
    jobd_slice: Callable[[], float] = partial(load.rate, "submit", clients, _SECONDS)
    rates = rounds(
        {case: jobd_slice, peer: lambda: float(beside.ask("submit", clients=clients, seconds=_SECONDS))}, count
    )
    return compared(case, rates, case, peer)


def _calls(name: str, beside: Beside, jobd: Daemon, count: int) -> Line:
    case, peer = "runs that do nothing, 2 workers", _PROMISES[name]
    cases: dict[str, Callable[[], float]] = {
        case: partial(burn, jobd, "call", _RUNS),
        peer: lambda: float(beside.ask("calls", count=_RUNS, workers=2)),
    }
    return compared(case, rounds(cases, count), case, peer)


def _latency(name: str, beside: Beside, jobd: Daemon) -> Line:
    own = []
    for _ in range(_SAMPLES):
        at = time.time()
        run, _ = jobd.submit([{"job": "call"}])
        jobd.await_final(run, run)
        own.append(jobd.started_at(run) - at)
    other = beside.ask("latency", samples=_SAMPLES)
    shown = f"p50 {percentile(own, 50) * 1e3:.2f} ms, p99 {percentile(own, 99) * 1e3:.2f} ms"
    if not other:
        return Line("submit to start when idle", shown, f"{_PROMISES[name]}: none started")
    reference = f"{_PROMISES[name]} p50 {percentile(other, 50) * 1e3:.2f} ms, p99 {percentile(other, 99) * 1e3:.2f} ms"
    return Line("submit to start when idle", shown, reference, f"{percentile(own, 50) / percentile(other, 50):.2f}")

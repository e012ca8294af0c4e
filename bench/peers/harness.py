"""What every peer's program does the same way: clients that submit, workers that count, and answers over a pipe.

A program takes lines of JSON on stdin, {"do": …}, and answers each with one line. It knows the standard library and the
peer's own packages alone, since it runs on a Python of its own.
"""

from __future__ import annotations

import json
import mmap
import multiprocessing
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAYLOAD = "x" * 200
_COUNTS = Path(os.environ.get("PEER_DIRECTORY", ".")) / "counts"
_LATE = Path(os.environ.get("PEER_DIRECTORY", ".")) / "late"
_LONGEST_SECONDS = 20.0
_counter: mmap.mmap | None = None
_counter_of = 0


class Programs:
    """Processes a peer needs; each is ended by its own pid, its children by their group."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *argv: str, **more: Any) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(argv, stdout=quiet, stderr=quiet, stdin=quiet, start_new_session=True, **more)
        self._running.append(process)
        return process

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, how)
            process.wait(15)
        self._running = []


class Peer:
    """One queue with the settings it is measured at; its workers are programs."""

    def __init__(self) -> None:
        self.programs = Programs()

    def fresh(self) -> None:
        """An empty queue."""
        raise NotImplementedError

    def client(self) -> Callable[[], Any]:
        """A client of its own; each call submits one durable run that does nothing."""
        raise NotImplementedError

    def preload(self, count: int) -> None:
        """So many waiting runs that do nothing."""
        raise NotImplementedError

    def workers(self, count: int) -> None:
        """Start so many worker processes."""
        raise NotImplementedError

    def put_stamped(self) -> None:
        """Submit a run that notes how long ago it was submitted."""
        raise NotImplementedError

    def close(self) -> None:
        """End what runs beside the workers."""

    def submit(self, clients: int, seconds: float) -> float:
        """Durable submits a second of so many client processes, each with one in flight."""
        context = multiprocessing.get_context("fork")
        ready, done, go = context.Queue(), context.Queue(), context.Event()
        made = [context.Process(target=_client, args=(self, seconds, ready, done, go)) for _ in range(clients)]
        for process in made:
            process.start()
        for _ in made:
            ready.get(timeout=30)
        go.set()
        total = sum(done.get(timeout=30) for _ in made)
        for process in made:
            process.join(5)
        return total / seconds


def count_one() -> None:
    """A run has done its nothing. Costs next to nothing: each process has a counter in a mapped file."""
    global _counter, _counter_of
    if _counter is None or _counter_of != os.getpid():
        with open(_COUNTS / str(os.getpid()), "w+b") as file:
            file.write(bytes(8))
            file.flush()
            _counter, _counter_of = mmap.mmap(file.fileno(), 8), os.getpid()
    _counter[:] = struct.pack("q", struct.unpack("q", _counter[:])[0] + 1)


def note_late(submitted_at: float) -> None:
    """A run that was submitted then (monotonic seconds) has started."""
    fd = os.open(_LATE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, f"{time.monotonic() - submitted_at:.9f}\n".encode())
    os.close(fd)


def counted() -> int:
    return sum(struct.unpack("q", path.read_bytes()[:8].ljust(8, b"\0"))[0] for path in _COUNTS.iterdir())


def serve(peer: Peer) -> None:
    """Answer until stdin ends."""
    _COUNTS.mkdir(parents=True, exist_ok=True)
    deeds: dict[str, Callable[..., Any]] = {"submit": _submit, "calls": _calls, "latency": _latency}
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            do = asked.pop("do")
            print(json.dumps(deeds[do](peer, **asked)), flush=True)
    finally:
        peer.programs.end()
        peer.close()


def _submit(peer: Peer, clients: int, seconds: float) -> float:
    peer.fresh()
    return peer.submit(clients, seconds)


def _client(peer: Peer, seconds: float, ready: Any, done: Any, go: Any) -> None:
    submit = peer.client()
    submit()
    ready.put(True)
    go.wait()
    count, ends = 0, time.perf_counter() + seconds
    while time.perf_counter() < ends:
        submit()
        count += 1
    done.put(count)


def _calls(peer: Peer, count: int, workers: int) -> float:
    """Runs a second that so many workers get done out of a backlog, between 10 % and 90 % of it."""
    peer.fresh()
    shutil.rmtree(_COUNTS)
    _COUNTS.mkdir()
    peer.preload(count)
    peer.workers(workers)
    began, seen = time.perf_counter(), [(0.0, 0)]
    while seen[-1][1] < count and time.perf_counter() - began < _LONGEST_SECONDS:
        seen.append((time.perf_counter(), counted()))
        time.sleep(0.002)
    peer.programs.end()
    total = seen[-1][1]
    low = next(one for one in seen if one[1] >= total * 0.1)
    high = next(one for one in seen if one[1] >= total * 0.9)
    return (high[1] - low[1]) / max(high[0] - low[0], 1e-3)


def _latency(peer: Peer, samples: int) -> list[float]:
    """Seconds from a submit to the start of its run, with idle workers."""
    peer.fresh()
    _LATE.unlink(missing_ok=True)
    peer.workers(2)
    time.sleep(2.0)  # whatever a worker does first
    for number in range(1, samples + 1):
        peer.put_stamped()
        ends = time.monotonic() + _LONGEST_SECONDS
        while len(_late()) < number and time.monotonic() < ends:
            time.sleep(0.001)
        time.sleep(0.02)
    peer.programs.end()
    return _late()


def _late() -> list[float]:
    return [float(line) for line in _LATE.read_text().split()] if _LATE.exists() else []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_port(port: int) -> None:
    ends = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.02)
        else:
            return


def directory() -> Path:
    return Path(os.environ["PEER_DIRECTORY"])

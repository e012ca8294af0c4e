"""A real pool for tests: a forkserver, workers and everything they report, kept in the order in which it came."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jobd.core.model import AttemptKey, Command, Ending, Finished, ProcessIdentity, Python, Shell
from jobd.work.orders import Order
from jobd.work.output import OutputFiles
from jobd.work.pool import ForkServer, Pool, PoolSettings

PATIENCE_SECONDS = 45.0


def key(run: int, attempt: int = 1) -> AttemptKey:
    return AttemptKey(run, attempt)


def shell(run: int, text: str, **values: Any) -> Order:
    return Order(**{"key": key(run), "job": "job", "action": Shell(text), "timeout_seconds": 10.0} | values)


def command(run: int, *argv: str, **values: Any) -> Order:
    return Order(**{"key": key(run), "job": "job", "action": Command(argv), "timeout_seconds": 10.0} | values)


def python(run: int, target: str, **values: Any) -> Order:
    return Order(**{"key": key(run), "job": "job", "action": Python(target), "timeout_seconds": 10.0} | values)


@dataclass
class Floor:
    """A running pool, what it said so far, and ways to wait for more."""

    directory: Path
    forkserver: ForkServer
    pool: Pool = field(init=False)
    reports: list[Finished] = field(default_factory=list)
    started: dict[AttemptKey, ProcessIdentity] = field(default_factory=dict)
    degraded: list[tuple[str, str]] = field(default_factory=list)
    said: list[tuple[int, float | None, str]] = field(default_factory=list)
    acknowledges: bool = True
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note_report(self, finished: Finished) -> None:
        self.reports.append(finished)
        if self.acknowledges:
            self.pool.acknowledge([finished.key])
        self._changed.set()

    def note_start(self, which: AttemptKey, child: ProcessIdentity, at: datetime) -> None:
        self.started[which] = child
        self._changed.set()

    def note_progress(self, which: AttemptKey, fraction: float | None, text: str) -> None:
        self.said.append((which.run, fraction, text))
        self._changed.set()

    def note_degraded(self, reason: str, detail: str) -> None:
        self.degraded.append((reason, detail))
        self._changed.set()

    async def until(self, holds: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until it holds, looking again at every event and now and then; fails after `seconds`."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds} s; so far: {self.reports} {self.degraded}"
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), 0.02)
            except TimeoutError:
                continue

    def ending(self, run: int, attempt: int = 1) -> Ending | None:
        return next((one.ending for one in self.reports if one.key == key(run, attempt)), None)

    async def run(self, *orders: Order) -> list[Ending]:
        """The endings of these orders, in their order."""
        self.pool.hand_out(orders)
        await self.until(lambda: all(self.ending(order.key.run, order.key.attempt) for order in orders))
        return [ending for order in orders if (ending := self.ending(order.key.run, order.key.attempt))]

    def output(self, run: int, stream: str = "stdout", attempt: int = 1) -> bytes:
        files, data, offset = OutputFiles(str(self.directory / "out")), b"", 0
        while True:
            piece, offset, ended = files.read(run, attempt, stream, offset, 1 << 20)
            data += piece
            if ended:
                return data


@asynccontextmanager
async def floor(
    directory: Path, *, python_path: Iterable[str] = (), told: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Floor]:
    """A pool in `directory` (runtime in `run`, output in `out`), closed at the end; `told` is for executors."""
    forkserver = ForkServer.start(str(directory / "run"), str(directory / "out"), tuple(python_path), settings=told)
    async with attended(directory, forkserver, **settings) as opened:
        yield opened
    assert forkserver.wait(PATIENCE_SECONDS), "the forkserver must end once its workers have"


@asynccontextmanager
async def attended(directory: Path, forkserver: ForkServer, **settings: Any) -> AsyncIterator[Floor]:
    made = Floor(directory, forkserver)
    values = PoolSettings(str(directory / "run"), str(directory / "out"), **{"max_workers": 4} | settings)
    heard = (made.note_report, made.note_start, made.note_degraded, lambda: None, made.note_progress)
    made.pool = Pool(forkserver, values, *heard)
    made.pool.open()
    try:
        yield made
    finally:
        await made.pool.close(PATIENCE_SECONDS)


def token() -> str:
    """Something that appears in the command line of a test's processes and nowhere else."""
    return uuid.uuid4().hex


def alive_with(mark: str) -> list[int]:
    """The pids of living processes with `mark` in their command line."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in line:
                found.append(int(name))
    return found

"""How late commands start that are due at the same second, one to ten thousand of them, beside Debian's cron.

And whether clients are answered meanwhile, and how the last of a thousand compares with a bare pool.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import cron, definitions
from bench.crew import Crew
from bench.daemon import Daemon, daemon, room
from bench.paired import percentile
from bench.table import Line
from jobd.client import Client

SIZES = (1, 100, 1000, 10_000)
_OFTEN = {1: ("* * * * * *", 30), 100: ("*/3 * * * * *", 30), 1000: ("*/15 * * * * *", 45), 10_000: ("0 * * * * *", 62)}
"""Number due → every how often, and for how many seconds."""
_WORKERS = 8
_POOL_SECONDS = 1.0
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 180.0


def measure() -> list[Line]:
    """A table line for every size, and one each for the bare pool and for the clients."""
    own = {size: _jobd(size) for size in SIZES}
    why_not = cron.missing()
    if why_not:
        print(f"bench: cron is not measured: {why_not}", file=sys.stderr, flush=True)
    others = {} if why_not else _cron()
    lines = [_line(size, own[size].late, others.get(size, []), why_not) for size in SIZES]
    return [*lines, _last(own[1000]), _answers(own[10_000])]


@dataclass(slots=True)
class Burst:
    """What came of some jobs that were due at once, perhaps several times: all in seconds."""

    late: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    """How long a client waited for the status."""
    pool: float = 0.0
    """Programs a second of a bare pool, right before and after."""


def _jobd(size: int) -> Burst:
    with room() as directory, _pool() as pool:
        schedule, seconds = _OFTEN[size]
        definitions.write(directory, size, [schedule], prefix="due", zone="UTC")
        before = pool.rate(_POOL_SECONDS)
        with daemon(_WORKERS, directory) as jobd:
            burst = _watched(jobd, size, seconds)
        burst.pool = (before + pool.rate(_POOL_SECONDS)) / 2
    return burst


@contextmanager
def _pool() -> Iterator[Crew]:
    pool = Crew(_WORKERS, "spawn")
    try:
        yield pool
    finally:
        pool.close()


def _watched(jobd: Daemon, size: int, seconds: float) -> Burst:
    burst, over = Burst(), threading.Event()
    asking = threading.Thread(target=_ask, args=(jobd.socket, burst.answers, over))
    if size == SIZES[-1]:
        asking.start()
    since, patience = time.time(), time.monotonic() + seconds + _PATIENCE_SECONDS
    try:
        time.sleep(seconds)
        # What was due while the daemon started is no burst, and what is under way at the end is no whole one.
        while not (late := _whole(jobd.starts("due-*", since), size)) and time.monotonic() < patience:
            time.sleep(0.1)
    finally:
        over.set()
        if asking.is_alive():
            asking.join()
    if not late:
        raise RuntimeError(f"not all of {size} jobs that were due at once ran: {jobd.log()}")
    burst.late = late
    return burst


def _whole(found: list[tuple[float, float]], size: int) -> list[float]:
    """The lateness of the runs of those slots of which every job ran."""
    runs = Counter(slot for slot, _ in found)
    return [at - slot for slot, at in found if runs[slot] == size]


def _ask(socket: str, answers: list[float], over: threading.Event) -> None:
    with Client(socket, timeout_seconds=60) as client:
        while not over.is_set():
            began = time.perf_counter()
            client.status()
            answers.append(time.perf_counter() - began)
            time.sleep(_LOOK_SECONDS)


def _cron() -> dict[int, list[float]]:
    """Lateness by size: cron's jobs are due one minute after the other."""
    with room() as directory:
        first = (int(time.time() + 10) // 60 + 1) * 60
        minutes = {size: first + 60 * number for number, size in enumerate(SIZES)}
        running = cron.Cron(directory, {minute: size for size, minute in minutes.items()})
        try:
            found = {size: running.await_all(minute, size, 120) for size, minute in minutes.items()}
        finally:
            running.close()
    return {size: [at - minutes[size] for at in starts] for size, starts in found.items()}


def _line(size: int, late: list[float], other: list[float], why_not: str | None) -> Line:
    aims = {1: "p50 <= 5 ms, p99 <= 20 ms"}
    met = (percentile(late, 50) <= 0.005 and percentile(late, 99) <= 0.02) if size in aims else None
    reference = f"cron {_shown(other)}" if other else f"no cron: {why_not}"
    lost = f", {size - len(other):,} never" if other and len(other) < size else ""
    times = f"{percentile(late, 50) / percentile(other, 50):.4f}" if other else ""
    return Line(f"lateness, {size:,} due at once", _shown(late), reference + lost, times, aims.get(size, ""), met)


def _last(burst: Burst) -> Line:
    """The last start of a burst of a thousand, as a multiple of what a bare pool takes for as many."""
    bare = 1000 / burst.pool
    last = percentile(burst.late, 99.9)
    reference = f"bare posix_spawn pool of {_WORKERS} {bare:.2f} s"
    return Line(
        "last of 1,000 due at once", f"{last:.2f} s", reference, f"{last / bare:.2f}", "<= 1.4x", last <= 1.4 * bare
    )


def _answers(burst: Burst) -> Line:
    p50, p99, most = (percentile(burst.answers, percent) * 1e3 for percent in (50, 99, 100))
    value = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {most:.0f} ms"
    return Line("status while 10,000 start", value, aim="p99 <= 100 ms", met=p99 <= 100)


def _shown(late: list[float]) -> str:
    p50, p99, last = (percentile(late, percent) for percent in (50, 99, 100))
    return f"p50 {_span(p50)}, p99 {_span(p99)}, last {_span(last)}"


def _span(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"

"""What ten thousand definitions cost while nothing is due: CPU of an idle minute, and memory, beside none at all."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from bench import definitions
from bench.daemon import Daemon, daemon, room
from bench.memory import resident
from bench.table import Line

_COUNT = 10_000
_SETTLE_SECONDS = 5.0
_SECONDS = 60.0
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Idle:
    cpu: float
    """Seconds of CPU in the minute, of the supervisor and all below it."""
    megabytes: float
    """Resident in the supervisor."""


def measure() -> list[Line]:
    """An idle minute with no definitions, and one with many."""
    with room() as directory:
        with daemon(workers=2) as jobd:
            bare = _idle(jobd)
        definitions.write(directory, _COUNT, definitions.mixed(_COUNT))
        with daemon(workers=2, definitions=directory) as jobd:
            full = _idle(jobd)
    return [
        Line(
            f"CPU of an idle minute, {_COUNT:,} jobs",
            f"{full.cpu:.2f} s ({full.cpu / _SECONDS:.2%})",
            f"no jobs {bare.cpu:.2f} s ({bare.cpu / _SECONDS:.2%})",
            f"{full.cpu / max(bare.cpu, 1 / _TICK):.2f}",
            "<= 1 %",
            full.cpu / _SECONDS <= 0.01,
        ),
        Line(
            f"supervisor, resident, {_COUNT:,} jobs",
            f"{full.megabytes:.1f} MB",
            f"no jobs {bare.megabytes:.1f} MB",
            f"{full.megabytes / bare.megabytes:.2f}",
            "<= 1.7x",
            full.megabytes <= 1.7 * bare.megabytes,
        ),
    ]


def _idle(jobd: Daemon) -> Idle:
    first, last = jobd.submit([{"job": job} for job in ("call", "spawn") * 20])
    jobd.await_final(first, last)
    time.sleep(_SETTLE_SECONDS)
    before = _cpu(jobd)
    time.sleep(_SECONDS)
    return Idle(_cpu(jobd) - before, resident(jobd.pid))


def _cpu(jobd: Daemon) -> float:
    """Seconds of CPU of the supervisor and of all that it started and has not buried."""
    return sum(_seconds(pid) for pid in _family(jobd.pid))


def _seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICK


def _family(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [pid, *(one for child in file.read().split() for one in _family(int(child)))]

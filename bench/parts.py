"""What parts of a run cost that are in every run, so that no other run shows it: its timeout and its accounting."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from statistics import median

from bench.table import Line
from jobd.core.model import Usage
from jobd.work.alarm import Alarm

_CALLS = 2000


def measure(rounds: int) -> list[Line]:
    """Milliseconds for either, over so many rounds of two thousand."""
    alarm = Alarm()

    def timeout() -> None:
        alarm.arm(time.monotonic() + 3600)
        alarm.arm(None)

    return [
        _line("timeout, armed and disarmed", timeout, rounds, 0.05),
        _line("accounting, read twice and put down", _account, rounds),
    ]


def _account() -> None:
    before, after = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_SELF)
    Usage(after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime, after.ru_maxrss * 1024)


def _line(name: str, part: Callable[[], object], rounds: int, most: float | None = None) -> Line:
    milliseconds = median(_seconds(part) for _ in range(rounds)) * 1000
    aim, met = ("", None) if most is None else (f"< {most:g} ms", milliseconds < most)
    return Line(name, f"{milliseconds:.4f} ms", aim=aim, met=met)


def _seconds(part: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(_CALLS):
        part()
    return (time.perf_counter() - began) / _CALLS

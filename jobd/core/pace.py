"""Remembers how long attempts of each job take, to know whose orders may wait behind each other at a worker."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

QUICK_SECONDS = 0.01
_NEWEST_COUNTS = 0.2
_KEPT = 4096


@dataclass(slots=True)
class Pace:
    """A moving mean of durations by job, of the jobs that ran last."""

    _seconds: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def note(self, job: str, seconds: float) -> None:
        """An attempt of the job took so long."""
        before = self._seconds.get(job, seconds)
        self._seconds[job] = before + _NEWEST_COUNTS * (seconds - before)
        self._seconds.move_to_end(job)
        if len(self._seconds) > _KEPT:
            self._seconds.popitem(last=False)

    def is_quick(self, job: str) -> bool:
        """Whether an attempt is likely over before another worker could be found for the next."""
        return self._seconds.get(job, QUICK_SECONDS) < QUICK_SECONDS

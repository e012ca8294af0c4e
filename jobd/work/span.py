"""From when to when an attempt ran, also where the wall clock was set meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_SET = timedelta(seconds=0.5)
"""Less than this is the pace of the clock being trimmed."""


@dataclass(frozen=True, slots=True)
class Start:
    """The start of an attempt: by the wall clock of then, and by the clock that nobody sets."""

    at: datetime
    boottime: float

    @classmethod
    def now(cls) -> Start:
        return cls(datetime.now(UTC), _boottime())

    def until_now(self) -> tuple[datetime, datetime]:
        """Start and end by the wall clock as it is now, which is the one that was set right: their distance is true."""
        end = datetime.now(UTC)
        start = end - timedelta(seconds=_boottime() - self.boottime)
        return (self.at if abs(start - self.at) < _SET else start), end


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)

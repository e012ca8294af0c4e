"""Where the time and the ids of runs come from: what the daemon asks of its clock and of whoever numbers runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reading:
    """What two clocks said at the same instant. Who compares two readings learns whether the wall clock was set."""

    wall: datetime
    boottime: float
    """Seconds that never jump, and that pass also while the host sleeps: sleep is time, not a step."""


class Clock(Protocol):
    """What `supervisor.engine` lives by; `supervisor.clock.Clock` is that of the host."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""

    def monotonic(self) -> float:
        """Seconds that stand still while the host sleeps and never jump."""

    def boottime(self) -> float:
        """Seconds that pass also while the host sleeps and never jump."""

    def read(self) -> Reading:
        """The wall clock and `boottime` at the same instant."""


class Ids(Protocol):
    """What numbers runs; given to `store.open.open_store`."""

    def after(self, last: int) -> int:
        """The id of the next run, above the last one given (0: none yet); those accepted with it count on from there.

        Asked within a transaction that may come to nothing: the same question has to have the same answer.
        """


class Counting:
    """Ids as they come: 1, 2, 3."""

    def after(self, last: int) -> int:
        return last + 1

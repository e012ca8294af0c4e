"""What a simulation takes and what it tells: jobs as loads, limits, and what would become of their slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jobd.core.overlap import Policy

Kind = Literal["skipped", "coalesced", "replaced", "waited", "expired"]


@dataclass(frozen=True, slots=True)
class Load:
    """A job as far as it takes up room."""

    name: str
    seconds: float
    """How long a run of it takes."""
    queue: str = "default"
    priority: int = 0
    overlap: Policy = "skip"
    max_running: int | None = None
    """What `overlap: allow` goes by."""
    running_limit: int | None = None
    after_seconds: float | None = None
    """It is due again so long after the end of its last run."""
    deadline_seconds: float | None = None
    """A run that has not started so long after its slot never does."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be under way at once: in each queue (None or absent: any number), and on the host."""

    queues: Mapping[str, int | None]
    workers: int


@dataclass(frozen=True, slots=True)
class Incident:
    """A slot that did not simply start."""

    at: float
    job: str
    kind: Kind
    reason: str
    """What was in the way: `overlap`, `queue`, `job` or `workers`."""
    seconds: float = 0.0
    """How long the run waited; for a slot that lost to a run, how long that run was still going to take."""


@dataclass(slots=True)
class Tally:
    """What became of the slots of a job."""

    slots: int = 0
    started: int = 0
    skipped: int = 0
    coalesced: int = 0
    replaced: int = 0
    expired: int = 0
    waited: int = 0
    longest_wait: float = 0.0


@dataclass(slots=True)
class Crowd:
    """How full a queue, or the host, became."""

    limit: int | None
    running: int = 0
    peak: int = 0
    peak_at: float | None = None

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.running >= self.limit

    def enter(self, at: float) -> None:
        self.running += 1
        if self.running > self.peak:
            self.peak, self.peak_at = self.running, at


@dataclass(frozen=True, slots=True)
class Forecast:
    """What came of it all."""

    jobs: Mapping[str, Tally]
    queues: Mapping[str, Crowd]
    host: Crowd
    incidents: Sequence[Incident]
    """The first of them, in the order in which they were over."""
    incidents_in_all: int
    busiest: tuple[float, int] | None
    """The minute (its first second) in which most slots were due, and how many."""


def usual(seconds: Sequence[float]) -> tuple[float, float] | None:
    """The median of some durations, and what 95 of 100 of them do not exceed; None for no duration."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return median, ordered[-(-len(ordered) * 95 // 100) - 1]

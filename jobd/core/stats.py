"""Rolling figures: how often the runs of a span of time went well, how long they took and how long they waited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from jobd.core.states import RunState

By = Literal["job", "queue"]
_PARTS = (50, 90, 95, 99)


class Sample(NamedTuple):
    """What counts of one run. There may be hundreds of thousands of them in one answer."""

    job: str
    queue: str
    state: RunState
    attempts: int
    waited_seconds: float | None
    """From when it might have started until its last attempt did; None for a run that never started."""
    took_seconds: float | None
    """Of its last attempt; None for a run that is not over, or never started."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How some spans of seconds are spread."""

    mean: float
    parts: Mapping[int, float]
    """Of a hundred of them so many are no longer."""
    longest: float


@dataclass
class Line:
    """The figures of one job, of one queue, or of all."""

    states: Counter[RunState] = field(default_factory=Counter)
    retried: int = 0
    waits: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)

    @property
    def runs(self) -> int:
        return self.states.total()

    @property
    def success_rate(self) -> float | None:
        """Of those that succeeded or failed; None where none did."""
        over = self.states[RunState.SUCCEEDED] + self.states[RunState.FAILED]
        return self.states[RunState.SUCCEEDED] / over if over else None

    def take(self, sample: Sample) -> None:
        self.states[sample.state] += 1
        self.retried += sample.attempts > 1
        if sample.waited_seconds is not None:
            self.waits.append(sample.waited_seconds)
        if sample.took_seconds is not None:
            self.durations.append(sample.took_seconds)


class Statistics:
    """Takes runs one after the other, and tells the figures of all and of each job or queue."""

    def __init__(self, by: By) -> None:
        self._by = by
        self.total = Line()
        self.lines: dict[str, Line] = {}

    def take(self, sample: Sample) -> None:
        self.total.take(sample)
        name = sample.job if self._by == "job" else sample.queue
        if name not in self.lines:
            self.lines[name] = Line()
        self.lines[name].take(sample)

    def busiest(self) -> list[tuple[str, Line]]:
        """By most runs, then by name."""
        return sorted(self.lines.items(), key=lambda one: (-one[1].runs, one[0]))


def spread(seconds: Sequence[float]) -> Spread | None:
    """Mean and percentiles (the smallest value that so many of a hundred do not exceed); None for nothing."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    parts = {part: ordered[-(-len(ordered) * part // 100) - 1] for part in _PARTS}
    return Spread(sum(ordered) / len(ordered), parts, ordered[-1])

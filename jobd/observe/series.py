"""What is counted as it happens, a number or a histogram for each combination of label values.

Their number is bounded, whatever names clients and definitions come up with.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from jobd.core.names import is_name
from jobd.observe.declared import Metric
from jobd.observe.exposition import front, head

MOST_SERIES = 2000
OTHER = "other"


class Count:
    """A number that grows, and the front of its line."""

    __slots__ = ("_front", "_number")

    def __init__(self, metric: Metric, values: tuple[str, ...]) -> None:
        self._front = front(metric.name, metric.labels, values)
        self._number = 0.0

    def inc(self, by: float = 1.0) -> None:
        self._number += by

    @property
    def text(self) -> str:
        return f"{self._front}{self._number!r}\n"


class Spread:
    """How often a number fell into which bucket, and the sum of all."""

    __slots__ = ("_bounds", "_counts", "_fronts", "_sum")

    def __init__(self, metric: Metric, values: tuple[str, ...]) -> None:
        labels = (*metric.labels, "le")
        edges = [*map(repr, metric.bounds), "+Inf"]
        self._fronts = [front(f"{metric.name}_bucket", labels, (*values, edge)) for edge in edges]
        self._fronts += [front(f"{metric.name}_{suffix}", metric.labels, values) for suffix in ("count", "sum")]
        self._bounds, self._sum = metric.bounds, 0.0
        self._counts = [0] * len(edges)

    def observe(self, number: float) -> None:
        self._counts[bisect_left(self._bounds, number)] += 1
        self._sum += number

    @property
    def text(self) -> str:
        numbers: list[float] = []
        below = 0
        for count in self._counts:
            below += count
            numbers.append(below)
        numbers += [below, self._sum]
        return "".join([f"{front}{number!r}\n" for front, number in zip(self._fronts, numbers, strict=True)])


Cell = TypeVar("Cell", Count, Spread)


class Series(Generic[Cell]):
    """The series of one metric by their label values; what would be one too many is counted as `other`."""

    def __init__(self, metric: Metric, kind: type[Cell]) -> None:
        self.metric = metric
        self._make: Callable[[Metric, tuple[str, ...]], Cell] = kind
        self._job = metric.labels.index("job_name") if "job_name" in metric.labels else None
        # A histogram has a series for each bucket, one without end, its count and its sum.
        self._most = MOST_SERIES // (len(metric.bounds) + 3 if metric.bounds else 1)
        self._known: dict[tuple[str, ...], Cell] = {}
        self._rest = (OTHER,) * len(metric.labels)

    def of(self, *values: str) -> Cell:
        """The series with these label values, which are states, outcomes, or names as `names.is_name` has them."""
        found = self._known.get(values)
        if found is not None:
            return found
        if values != self._rest and (len(self._known) >= self._most - 1 or not all(map(is_name, values))):
            return self.of(*self._rest)
        made = self._known[values] = self._make(self.metric, values)
        return made

    def forget(self, jobs: Iterable[str]) -> None:
        """Remove the series of these jobs."""
        if self._job is None:
            return
        gone, at = set(jobs), self._job
        for values in [values for values in self._known if values[at] in gone]:
            del self._known[values]

    def text(self, *, is_open: bool) -> str:
        """All of it as text, sorted so that two scrapes are easy to compare."""
        return head(self.metric, is_open=is_open) + "".join([cell.text for _, cell in sorted(self._known.items())])

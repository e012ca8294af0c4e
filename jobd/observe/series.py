"""Keeps the number of series of a metric bounded, whatever names clients and definitions come up with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

from jobd.core.names import is_name

MOST_SERIES = 2000
OTHER = "other"

Metric = TypeVar("Metric", Counter, Histogram)


class Series(Generic[Metric]):
    """The series of one metric by their label values; what would be one too many is counted as `other`."""

    def __init__(self, metric: Metric, labels: Sequence[str]) -> None:
        self._metric: Metric = metric
        self._job = labels.index("job_name") if "job_name" in labels else None
        self._known: dict[tuple[str, ...], Metric] = {}
        self._rest = (OTHER,) * len(labels)

    def of(self, *values: str) -> Metric:
        """The series with these label values, which are states, outcomes, or names as `names.is_name` has them."""
        found = self._known.get(values)
        if found is not None:
            return found
        is_known = len(self._known) < MOST_SERIES - 1 and all(map(is_name, values))
        made: Metric = self._metric.labels(*(values if is_known else self._rest)) if values else self._metric
        if is_known:
            self._known[values] = made
        return made

    def forget(self, jobs: Iterable[str]) -> None:
        """Remove the series of these jobs."""
        if self._job is None:
            return
        gone, at = set(jobs), self._job
        for values in [values for values in self._known if values[at] in gone]:
            del self._known[values]
            self._metric.remove(*values)


def counter(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Series[Counter]:
    return Series(Counter(name, text, labels, registry=registry), labels)


def histogram(
    registry: CollectorRegistry, name: str, text: str, buckets: Sequence[float], *labels: str
) -> Series[Histogram]:
    return Series(Histogram(name, text, labels, registry=registry, buckets=buckets), labels)

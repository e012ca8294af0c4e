"""Paired slices: every case gets a short slice in each round, and is judged by its reference of the same round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Slice = Callable[[], float]
"""Works for a fraction of a second and gives a rate per second."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some samples and their quartiles."""

    median: float
    low: float
    high: float


def spread(samples: Sequence[float]) -> Spread:
    ordered = sorted(samples)
    return Spread(statistics.median(ordered), ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4])


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that is not below `percent` of them."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]


def rounds(cases: Mapping[str, Slice], count: int) -> dict[str, list[float]]:
    """Rates by case, one of each round. The order turns, so that no case always follows the same other one."""
    names = list(cases)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for number in range(count):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            rates[name].append(cases[name]())
    return rates


def ratio(rates: Mapping[str, Sequence[float]], case: str, reference: str) -> Spread:
    """How a case compares with its reference: the median over the rounds of one divided by the other."""
    return spread([one / other for one, other in zip(rates[case], rates[reference], strict=True)])

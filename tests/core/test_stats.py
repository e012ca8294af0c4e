"""Rolling figures: what is counted as a success, and what percentiles mean."""

from __future__ import annotations

import pytest

from jobd.core.states import RunState
from jobd.core.stats import Line, Sample, Statistics, spread


def sample(state: RunState = RunState.SUCCEEDED, job: str = "a", queue: str = "q", attempts: int = 1) -> Sample:
    return Sample(job, queue, state, attempts, 1.0, 2.0 if state is RunState.SUCCEEDED else None)


@pytest.mark.parametrize(
    ("seconds", "p50", "p95", "longest"),
    [([3.0], 3, 3, 3), ([1.0, 2.0], 1, 2, 2), ([float(n) for n in range(1, 101)], 50, 95, 100)],
)
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(
    seconds: list[float], p50: float, p95: float, longest: float
) -> None:
    found = spread(seconds)
    assert found is not None
    assert (found.parts[50], found.parts[95], found.longest) == (p50, p95, longest)


def test_nothing_has_no_spread_and_no_rate() -> None:
    assert spread([]) is None
    assert Line().success_rate is None


def test_the_success_rate_is_of_those_that_succeeded_or_failed() -> None:
    line = Line()
    states = [RunState.SUCCEEDED, RunState.FAILED, RunState.RUNNING, RunState.CANCELLED, RunState.SUCCEEDED]
    for state in states:
        line.take(sample(state))
    assert (line.runs, line.success_rate, line.durations) == (5, 2 / 3, [2.0, 2.0])


def test_runs_are_told_by_job_or_by_queue_the_busiest_first() -> None:
    for by, expected in (("job", [("b", 2), ("a", 1)]), ("queue", [("q", 3)])):
        found = Statistics(by)  # type: ignore[arg-type]
        for job, attempts in (("a", 1), ("b", 3), ("b", 1)):
            found.take(sample(job=job, attempts=attempts))
        assert [(name, line.runs) for name, line in found.busiest()] == expected
        assert (found.total.runs, found.total.retried) == (3, 1)

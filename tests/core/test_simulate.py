"""A simulation decides as the daemon would: by overlap, limits, priority and turns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from jobd.core.forecast import Forecast, Limits, Load, Tally, usual
from jobd.core.simulate import simulate


def forecast(loads: list[Load], slots: Iterable[tuple[float, int]], workers: int = 9, **queues: int) -> Forecast:
    return simulate(loads, sorted(slots), 10_000.0, Limits(queues, workers))


def minutely(count: int, index: int = 0) -> list[tuple[float, int]]:
    return [(60.0 * n, index) for n in range(count)]


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({"seconds": 59}, Tally(slots=4, started=4)),
        ({"seconds": 90, "overlap": "skip"}, Tally(slots=4, started=2, skipped=2)),
        ({"seconds": 90, "overlap": "allow"}, Tally(slots=4, started=4)),
        ({"seconds": 200, "overlap": "allow", "max_running": 2}, Tally(slots=4, started=2, skipped=2)),
        (
            {"seconds": 80, "overlap": "queue", "running_limit": 1},
            Tally(slots=4, started=4, waited=3, longest_wait=60),
        ),
        (
            {"seconds": 150, "overlap": "queue", "running_limit": 1},
            Tally(slots=4, started=3, coalesced=1, waited=2, longest_wait=120),
        ),
        (
            {"seconds": 150, "overlap": "allow", "running_limit": 1, "deadline_seconds": 100},
            Tally(slots=4, started=2, expired=2, waited=1, longest_wait=90),
        ),
        ({"seconds": 90, "overlap": "replace", "running_limit": 1}, Tally(slots=4, started=4, replaced=3)),
    ],
)
def test_each_overlap_policy_makes_of_the_slots_what_it_says(job: dict[str, Any], expected: Tally) -> None:
    found = forecast([Load("a", **job)], minutely(4))
    assert found.jobs["a"] == expected


def test_a_skipped_slot_tells_how_long_the_run_in_its_way_still_took() -> None:
    found = forecast([Load("a", 90)], minutely(2))
    (incident,) = found.incidents
    assert (incident.at, incident.kind, incident.reason, incident.seconds) == (60, "skipped", "overlap", 30)


def test_a_full_queue_lets_runs_wait_in_the_order_of_their_priority() -> None:
    loads = [Load("a", 10), Load("low", 10, priority=-10), Load("high", 10, priority=10)]
    found = forecast(loads, [(0, 0), (1, 1), (1, 2)], default=1)
    waits = {incident.job: (incident.seconds, incident.reason) for incident in found.incidents}
    assert waits == {"high": (9, "queue"), "low": (19, "queue")}
    assert (found.queues["default"].peak, found.queues["default"].limit) == (1, 1)


def test_queues_take_turns_where_workers_are_scarce() -> None:
    loads = [Load("a", 10, "one"), Load("b", 10, "one"), Load("c", 10, "two")]
    found = forecast(loads, [(0, 0), (0, 1), (0, 2)], workers=1)
    waits = {incident.job: incident.seconds for incident in found.incidents}
    assert waits == {"c": 10, "b": 20}
    assert {incident.reason for incident in found.incidents} == {"workers"}
    assert found.host.peak == 1


def test_a_job_at_its_limit_holds_up_no_other_of_its_queue() -> None:
    loads = [Load("a", 100, overlap="allow", running_limit=1, priority=10), Load("b", 10)]
    found = forecast(loads, [(0, 0), (1, 0), (2, 1)])
    assert found.jobs["b"] == Tally(slots=1, started=1)
    assert found.jobs["a"] == Tally(slots=2, started=2, waited=1, longest_wait=99)


def test_a_job_that_is_due_after_its_last_end_comes_up_again_until_the_end() -> None:
    found = simulate([Load("a", 10, after_seconds=20)], [(0.0, 0)], 65.0, Limits({}, 4))
    assert found.jobs["a"] == Tally(slots=3, started=3)


def test_the_busiest_minute_and_the_peak_are_told() -> None:
    loads = [Load("a", 30), Load("b", 30), Load("c", 30)]
    found = forecast(loads, [(0, 0), (65, 0), (70, 1), (119, 2)])
    assert found.busiest == (60.0, 3)
    assert (found.host.peak, found.host.peak_at) == (2, 70)


def test_incidents_are_all_counted_and_the_first_are_kept() -> None:
    found = simulate([Load("a", 1e6)], minutely(50), 1e4, Limits({}, 4), most_incidents=3)
    assert (len(found.incidents), found.incidents_in_all) == (3, 49)


def test_nothing_due_is_a_forecast_too() -> None:
    found = forecast([Load("a", 1)], [])
    assert (found.jobs["a"], found.busiest, found.incidents_in_all) == (Tally(), None, 0)


def test_what_is_usual_is_the_middle_and_nearly_the_longest() -> None:
    assert usual([]) is None
    assert usual([3.0]) == (3.0, 3.0)
    assert usual([float(n) for n in range(1, 101)]) == (50.5, 95.0)
    assert usual([4.0, 1.0]) == (2.5, 4.0)

"""Token buckets: in any window of W seconds at most burst + rate·W runs start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core import buckets
from jobd.core.buckets import Level, Rate, rate

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10/sec", Rate(10, 1, 10)),
        ("100/min", Rate(100, 60, 100)),
        ("5/hour", Rate(5, 3600, 5)),
        ({"rate": "100/min", "burst": 10}, Rate(100, 60, 10)),
        ({"rate": "100/min"}, Rate(100, 60, 100)),
    ],
)
def test_a_rate_is_read_as_it_is_meant(written: object, meant: Rate) -> None:
    assert rate(written) == meant


@pytest.mark.parametrize(
    "written", ["", "0/min", "1/day", "100", 100, None, "1e3/s", "9999999/s", {"burst": 1}, {"rate": "1/s", "burst": 0}]
)
def test_what_is_no_rate_is_refused_with_a_hint(written: object) -> None:
    with pytest.raises(ValueError, match=r"try|burst"):
        rate(written)


def test_a_bucket_that_was_never_used_is_full_and_none_holds_more_than_its_burst() -> None:
    limit = Rate(60, 60, 5)
    assert buckets.level(limit, None, NOON).tokens == 5
    assert buckets.level(limit, Level(4.0, NOON), NOON + 60 * SECOND).tokens == 5


def test_the_next_run_may_start_when_its_token_is_whole() -> None:
    limit = Rate(100, 60, 10)
    empty = Level(0.25, NOON)
    at = buckets.next_at(limit, empty)
    assert buckets.whole(buckets.level(limit, empty, at - timedelta(microseconds=2))) == 0
    assert buckets.whole(buckets.level(limit, empty, at + timedelta(microseconds=1))) == 1
    assert buckets.next_at(limit, Level(3.0, NOON)) == NOON


rates = st.builds(Rate, st.integers(1, 200), st.sampled_from([1, 60, 3600]), st.integers(1, 50))
waits = st.lists(st.tuples(st.integers(0, 120_000_000), st.integers(0, 20), st.integers(-7200, 7200)), max_size=60)


@given(rates, waits)
def test_no_window_sees_more_starts_than_the_burst_and_what_the_rate_brings(
    limit: Rate, steps: list[tuple[int, int, int]]
) -> None:
    """Time goes by, runs ask to start, the clock is set in between and the level is carried along with it."""
    true, wall, held = 0.0, NOON, None
    starts: list[float] = []
    for micros, wanted, stepped in steps:
        true += micros / 1e6
        wall += timedelta(microseconds=micros)
        if stepped % 3 == 0:
            wall += stepped * SECOND
            held = held and Level(held.tokens, held.at + stepped * SECOND)
        now = buckets.level(limit, held, wall)
        count = min(wanted, buckets.whole(now))
        starts += [true] * count
        held = buckets.take(now, count)
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            span = starts[last] - starts[first]
            assert last - first + 1 <= limit.burst + limit.per_second * span + 1e-6


@given(rates, st.integers(1, 86_400))
def test_a_clock_set_back_unseen_mints_nothing_and_freezes_nothing(limit: Rate, seconds: int) -> None:
    held = Level(0.0, NOON)
    back = NOON - seconds * SECOND
    settled = buckets.level(limit, held, back)
    assert settled == Level(0.0, back), "nothing is added for the hour that comes again"
    whole = buckets.next_at(limit, settled) + timedelta(microseconds=1)
    assert buckets.whole(buckets.level(limit, settled, whole)) == 1, "and it fills from there on"


@given(rates)
def test_waiting_for_each_token_in_turn_starts_runs_at_the_rate(limit: Rate) -> None:
    held, at, starts = Level(0.0, NOON), NOON, []
    for _ in range(5):
        at = buckets.next_at(limit, held)
        now = buckets.level(limit, held, at)
        while not buckets.whole(now):
            at = max(buckets.next_at(limit, now), at + timedelta(microseconds=1))
            now = buckets.level(limit, now, at)
        held = buckets.take(now, 1)
        starts.append(at)
    for one, other in pairwise(starts):
        assert abs((other - one).total_seconds() - 1 / limit.per_second) < 1e-4

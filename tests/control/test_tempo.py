"""How fast users may submit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.control.tempo import Tempo


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), max_size=60), st.integers(1, 20))
def test_no_window_takes_more_than_the_burst_and_the_rate_allow(asked: list[tuple[float, int]], rate: int) -> None:
    tempo, now, taken = Tempo(), 0.0, [(0.0, 0)]
    for pause, count in asked:
        now += pause
        if tempo.take(7, count, rate, now) == 0.0:
            taken.append((now, count))
    largest = max(count for _, count in taken)
    for first in range(1, len(taken)):
        for last in range(first, len(taken)):
            window = taken[last][0] - taken[first][0]
            total = sum(count for _, count in taken[first : last + 1])
            assert total <= rate + rate * window + largest + 1e-6


@pytest.mark.parametrize("count", [1, 3])
def test_who_waits_as_long_as_told_is_let_in(count: int) -> None:
    tempo = Tempo()
    assert tempo.take(7, 10, 5, 100.0) == 0.0
    wait = tempo.take(7, count, 5, 100.0)
    assert wait > 0 and tempo.take(8, 5, 5, 100.0) == 0.0, "another user has a bucket of their own"
    assert tempo.take(7, count, 5, 100.0 + wait / 2) > 0
    assert tempo.take(7, count, 5, 100.0 + wait + 1e-9) == 0.0

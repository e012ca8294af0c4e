"""Which ended runs may go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobd.core.retention import Ended, Retention, is_old
from jobd.core.states import RunState

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RUN = Ended(1, 7, RunState.SUCCEEDED, NOON - 31 * DAY, NOON - 30 * DAY, 1, has_key=False, is_dead=False)


@pytest.mark.parametrize(
    ("run", "goes"),
    [
        pytest.param(RUN, True, id="its time has come"),
        pytest.param(replace(RUN, finished_at=NOON - 30 * DAY + timedelta(seconds=1)), False, id="a second early"),
        pytest.param(replace(RUN, state=RunState.CANCELLED), True, id="cancelled like succeeded"),
        pytest.param(replace(RUN, state=RunState.FAILED), False, id="failures stay longer"),
        pytest.param(replace(RUN, state=RunState.FAILED, finished_at=NOON - 90 * DAY), True, id="but not for ever"),
        pytest.param(replace(RUN, finished_at=None), False, id="not ended"),
        pytest.param(replace(RUN, is_dead=True), False, id="a dead letter waits for somebody"),
        pytest.param(replace(RUN, is_awaited=True), False, id="a run that waits is to be handed its result"),
        pytest.param(replace(RUN, has_key=True), True, id="its key has run out"),
    ],
)
def test_a_run_goes_when_its_time_has_come(run: Ended, goes: bool) -> None:
    assert is_old(run, Retention(), NOON) is goes


def test_a_key_holds_its_run_for_a_day_whatever_retention_says() -> None:
    run = replace(RUN, created_at=NOON - 23 * timedelta(hours=1), finished_at=NOON - DAY / 2, has_key=True)
    hourly = Retention(succeeded=timedelta(hours=1))
    assert not is_old(run, hourly, NOON)
    assert is_old(replace(run, has_key=False), hourly, NOON)


def test_what_is_kept_for_ever_bounds_nothing_else() -> None:
    assert Retention(succeeded=None).shortest() == 90 * DAY
    assert Retention(succeeded=None, failed=None).shortest() is None
    assert Retention(failed=None).of_slots() is None
    assert Retention().of_slots() == 90 * DAY

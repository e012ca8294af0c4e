"""What is told of a job, and when again, as decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobd.core import events, notices
from jobd.core.lateness import Check
from jobd.core.model import AttemptKey, Ending
from jobd.core.notices import Known, Notice, Occasion, weigh
from jobd.core.states import Disposition, Outcome, RunState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = AttemptKey(42, 2)


def finished(state: RunState, outcome: Outcome | None = None) -> events.RunFinished:
    return events.RunFinished(42, "work", "default", NOON, state, outcome, 1.0, None)


@pytest.mark.parametrize(
    ("event", "occasion"),
    [
        (finished(RunState.FAILED, Outcome.TIMEOUT), Occasion.FAILURE),
        (finished(RunState.SUCCEEDED, Outcome.SUCCEEDED), Occasion.SUCCESS),
        (finished(RunState.EXPIRED), Occasion.MISSED),
        (finished(RunState.CANCELLED), None),
        (finished(RunState.SKIPPED), None),
        (events.AttemptFinished(KEY, "work", "default", NOON, Ending(Outcome.OOM)), Occasion.ATTEMPT_FAILURE),
        (events.AttemptFinished(KEY, "work", "default", NOON, Ending(Outcome.SUCCEEDED)), None),
        (events.AttemptFinished(KEY, "work", "default", NOON, Ending(Outcome.INTERRUPTED)), None),
        (events.AttemptFinished(KEY, "work", "default", NOON, Ending(Outcome.CANCELLED)), None),
        (events.JobLate("work", NOON, Check.SUCCESS, NOON, "stale"), Occasion.LATE),
        (events.JobLate("work", NOON, Check.TIMEOUT, NOON, "near"), Occasion.TIMEOUT_WARNING),
        (events.SlotDecided("work", NOON, NOON, Disposition.MISSED), Occasion.MISSED),
        (events.SlotDecided("work", NOON, NOON, Disposition.SKIPPED), None),
        (events.CircuitChanged("work", NOON, 5, NOON), Occasion.CIRCUIT_OPEN),
        (events.CircuitChanged("work", NOON), None),
        (events.CircuitChanged("work", NOON, trial=7), None),
        (events.RunAccepted(1, "work", "default", "submit", NOON), None),  # type: ignore[arg-type]
    ],
)
def test_which_events_are_an_occasion(event: events.Event, occasion: Occasion | None) -> None:
    notice = notices.of_event(event)
    assert (notice and notice.occasion) == occasion


def failure(at: datetime, times: int = 1) -> Notice:
    return Notice(Occasion.FAILURE, "work", at, times=times)


def test_the_first_is_told_and_what_follows_only_after_a_while_with_how_often_it_was() -> None:
    known, told = weigh(None, failure(NOON), 600)
    assert told == failure(NOON)
    known, told = weigh(known, failure(NOON + MINUTE, 3), 600)
    assert (known, told) == (Known(NOON, NOON, 3), None)
    known, told = weigh(known, failure(NOON + 10 * MINUTE), 600)
    assert told == replace(failure(NOON + 10 * MINUTE, 4), since=NOON)
    assert known == Known(NOON, NOON + 10 * MINUTE)


def test_without_a_while_everything_is_told() -> None:
    assert weigh(Known(NOON, NOON), failure(NOON), 0)[1] is not None


def test_a_clock_that_was_set_back_keeps_nobody_in_the_dark() -> None:
    assert weigh(Known(NOON, NOON), failure(NOON - 60 * MINUTE), 600)[1] is not None

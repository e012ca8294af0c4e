"""Lateness as decisions: what fails when, and that held time owes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobd.core.lateness import LOOK_AGAIN, Check, Facts, Late, Underway, is_told, judge
from jobd.core.model import Command, Expect, Job

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)
FRESH = Facts(first_seen_at=NOON)


def job(**expect: float) -> Job:
    return Job("work", Command(("true",)), expect=Expect(**expect))


def failing(made: Job, facts: Facts, now: datetime) -> dict[Check, Late]:
    return {one.check: one for one in judge(made, facts, now).late}


def test_a_job_is_late_once_its_last_success_is_longer_ago_than_expected() -> None:
    made, facts = job(max_time_since_success=7200), replace(FRESH, last_success_at=NOON + HOUR)
    assert judge(made, facts, NOON + 3 * HOUR - MOMENT) == judge(made, facts, NOON + HOUR)
    assert judge(made, facts, NOON + HOUR).look_at == NOON + 3 * HOUR
    assert failing(made, facts, NOON + 3 * HOUR) == {Check.SUCCESS: Late(Check.SUCCESS, NOON + 3 * HOUR)}


def test_a_job_that_never_succeeded_counts_from_when_it_was_first_seen() -> None:
    assert not failing(job(max_time_since_success=3600), FRESH, NOON + HOUR - MOMENT)
    assert Check.SUCCESS in failing(job(max_time_since_success=3600), FRESH, NOON + HOUR)


def test_a_run_that_has_not_started_in_time_is_late_and_one_that_runs_too_long_too() -> None:
    made = job(late_after=600, max_runtime=1800)
    facts = replace(FRESH, awaited=(7, NOON), running=(Underway(5, NOON), Underway(6, NOON - HOUR)))
    assert failing(made, facts, NOON + timedelta(minutes=9)) == {
        Check.RUNTIME: Late(Check.RUNTIME, NOON - HOUR / 2, 6),
    }
    assert set(failing(made, facts, NOON + timedelta(minutes=10))) == {Check.START, Check.RUNTIME}
    assert judge(made, facts, NOON + timedelta(minutes=10)).look_at == NOON + timedelta(minutes=30)


@pytest.mark.parametrize("held", [{"is_held": True}, {"held_until": NOON + 5 * HOUR}])
def test_time_in_which_a_job_is_held_owes_nothing(held: dict[str, object]) -> None:
    made = job(max_time_since_success=3600, late_after=3600)
    facts = replace(FRESH, awaited=(1, NOON), **held)  # type: ignore[arg-type]
    assert not failing(made, facts, NOON + 6 * HOUR - MOMENT)
    assert set(failing(made, facts, NOON + 6 * HOUR)) == (set() if facts.is_held else {Check.SUCCESS, Check.START})


def test_a_disabled_job_is_never_late_and_an_open_circuit_makes_no_run_late() -> None:
    disabled = replace(job(max_time_since_success=1), enabled=False)
    assert judge(disabled, FRESH, NOON + HOUR).look_at is None
    assert not failing(disabled, FRESH, NOON + HOUR)
    assert not failing(job(late_after=1), replace(FRESH, awaited=(1, NOON), is_open=True), NOON + HOUR)


def test_a_job_with_runs_for_later_is_looked_at_again_soon() -> None:
    facts = replace(FRESH, has_later=True)
    assert judge(job(late_after=3600), facts, NOON).look_at == NOON + LOOK_AGAIN
    assert judge(job(max_runtime=3600), facts, NOON).look_at is None


def test_what_waits_is_told_of_once_and_what_runs_too_long_for_each_run() -> None:
    assert is_told(Late(Check.START, NOON, 2), Late(Check.START, NOON, 1))
    assert not is_told(Late(Check.RUNTIME, NOON, 2), Late(Check.RUNTIME, NOON, 1))
    assert not is_told(Late(Check.SUCCESS, NOON), None)

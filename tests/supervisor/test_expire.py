"""Runs that must start in time or not at all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobd.core import events
from jobd.core.model import Dependency
from jobd.core.states import Outcome, RunState
from jobd.store import expiry
from tests.supervisor.stage import NOON, MakeStage, Stage, every_minute, job

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def test_a_slot_whose_run_has_not_started_by_its_deadline_is_expired_and_never_starts(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    engine.adopt(every_minute("hourly", "0 * * * *", start_deadline_seconds=90.0))
    engine.pass_by(HOUR)
    engine.pass_by(89 * SECOND)
    assert engine.run(1).state is RunState.QUEUED
    engine.pass_by(SECOND)
    engine.workers.count = 1
    engine.tick()
    found = engine.run(1)
    assert (found.state, found.error, found.attempts) == (
        RunState.EXPIRED, "not started by 2026-03-01T13:01:30Z", 0,
    )  # fmt: skip
    assert engine.workers.given == []
    (row,), _ = engine.history.slots("hourly", None, None, 9, None)
    assert (row.disposition, row.run) == ("expired", 1)
    assert row.reason == "not_started: run 1 had not started by 2026-03-01T13:01:30Z"
    (told,) = (event for event in engine.events if isinstance(event, events.RunFinished))
    assert (told.state, told.outcome, told.job) == (RunState.EXPIRED, None, "hourly")


def test_the_engine_wakes_when_a_run_becomes_too_late(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    engine.adopt(work := job(expires_seconds=30.0))
    engine.submit(work)
    assert engine.engine._next_due == NOON + 30 * SECOND
    assert engine.run(1).expires_at == NOON + 30 * SECOND


def test_a_run_expires_so_long_after_it_might_start_and_its_submitter_has_the_last_word(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    engine.adopt(work := job(expires_seconds=30.0))
    engine.submit(work)
    engine.submit(work, run_at=NOON + MINUTE)
    engine.submit(work, expires_seconds=100.0)
    engine.adopt(plain := job())
    engine.submit(plain)
    engine.pass_by(60 * SECOND)
    assert [engine.run(n).state for n in (1, 2, 3, 4)] == ["expired", "queued", "queued", "queued"]
    engine.pass_by(60 * SECOND)
    assert [engine.run(n).state for n in (1, 2, 3, 4)] == ["expired", "expired", "expired", "queued"]


def test_a_run_that_has_started_once_expires_no_more(engine: Stage) -> None:
    engine.adopt(work := job(expires_seconds=30.0))
    engine.submit(work, max_attempts=3)
    engine.pass_by(SECOND)
    engine.report(engine.workers.given[0], Outcome.FAILED)
    assert engine.run(1).state is RunState.RETRYING
    engine.pass_by(HOUR)
    assert engine.run(1).state is RunState.RUNNING
    assert engine.run(1).expires_at is None


def test_an_attempt_that_never_began_leaves_its_run_to_expire(engine: Stage) -> None:
    engine.adopt(work := job(expires_seconds=30.0))
    engine.submit(work)
    (key,) = engine.workers.given
    engine.workers.count = 0
    engine.pass_by(SECOND)
    engine.report(key, Outcome.INTERRUPTED, started_at=None, spent=False)
    assert not engine.run(1).state.is_final
    engine.pass_by(30 * SECOND)
    assert engine.run(1).state is RunState.EXPIRED


def test_a_run_that_expires_frees_its_job_for_the_slot_of_the_same_moment(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    engine.adopt(every_minute(start_deadline_seconds=60.0))
    engine.pass_by(MINUTE)
    engine.pass_by(MINUTE)
    assert [word for _, word in engine.slots("minutely")] == ["expired", "started"]


def test_a_deadline_lasts_as_long_as_it_should_when_the_clock_is_set(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    engine.adopt(work := job(expires_seconds=600.0))
    engine.submit(work)
    for step in (HOUR, -3 * HOUR):
        engine.clock.step(step)
        engine.tick()
        engine.pass_by(4 * MINUTE)
    assert engine.run(1).state is RunState.QUEUED
    engine.pass_by(2 * MINUTE)
    assert engine.run(1).state is RunState.EXPIRED


@pytest.mark.parametrize("hours", [-5, 5])
def test_the_time_of_a_run_whose_instant_has_yet_to_come_is_not_used_up_by_a_clock_that_is_set(
    make_stage: MakeStage, hours: int
) -> None:
    engine = make_stage(seats=0)
    engine.adopt(work := job(expires_seconds=60.0), parent := job("parent"))
    engine.submit(work, run_at=NOON + HOUR)
    engine.submit(parent)
    engine.submit(work, parent=2, depends_on=(Dependency(2),))
    engine.clock.step(hours * HOUR)
    engine.tick()
    engine.pass_by(max(0, 1 - hours) * HOUR)
    engine.pass_by(59 * SECOND)
    assert engine.run(1).state is RunState.QUEUED
    engine.pass_by(SECOND)
    assert engine.run(1).state is RunState.EXPIRED
    assert engine.run(3).state is RunState.BLOCKED


def test_of_many_that_are_too_late_none_is_started_while_the_rest_is_ended(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "MOST", 3)
    engine = make_stage(seats=0)
    engine.adopt(work := job(expires_seconds=30.0))
    engine.submit(work, 10)
    engine.submit(work, expires_seconds=600.0)
    engine.clock.pass_by(MINUTE)
    engine.workers.count = 5
    for _ in range(4):
        engine.tick()
    assert {engine.run(n).state for n in range(1, 11)} == {RunState.EXPIRED}
    assert [key.run for key in engine.workers.given] == [11]

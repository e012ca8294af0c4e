"""The time that all attempts of a run have together."""

from __future__ import annotations

from datetime import timedelta

from jobd.core import events
from jobd.core.model import AttemptKey, CircuitBreaker, RetryPolicy
from jobd.core.records import DeadFilter
from jobd.core.states import Outcome, RunState
from tests.supervisor.stage import MakeStage, Stage, job

SECOND = timedelta(seconds=1)
PATIENT = RetryPolicy("fixed", max_attempts=9, base_seconds=40.0, jitter=0.0)
WORK = job(total_timeout_seconds=100.0, timeout_seconds=60.0, retry=PATIENT)


def begun(make_stage: MakeStage) -> Stage:
    engine = make_stage()
    engine.adopt(WORK)
    engine.submit(WORK)
    return engine


def test_an_attempt_has_no_more_time_than_is_left_for_all(make_stage: MakeStage) -> None:
    engine = begun(make_stage)
    engine.pass_by(20 * SECOND)
    engine.report(AttemptKey(1, 1), Outcome.FAILED, exit_code=1)
    engine.pass_by(40 * SECOND)
    assert [(order.timeout_seconds, order.total_seconds) for order in engine.workers.orders] == [
        (60.0, 100.0),
        (40.0, 40.0),
    ]


def test_its_time_begins_with_the_first_attempt_and_not_with_the_wait_for_it(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    engine.adopt(WORK)
    engine.submit(WORK)
    engine.pass_by(1000 * SECOND)
    engine.workers.count = 1
    engine.tick()
    assert engine.workers.orders[0].total_seconds == 100.0


def test_an_attempt_that_has_used_up_the_time_is_the_last(make_stage: MakeStage) -> None:
    engine = begun(make_stage)
    engine.pass_by(60 * SECOND)
    engine.report(AttemptKey(1, 1), Outcome.TIMEOUT, exit_code=124, error="timed out after 60 s")
    assert engine.run(1).state is RunState.FAILED
    assert (engine.run(1).outcome, engine.run(1).error) == (
        "timeout",
        "timed out after 60 s (its total_timeout is over before another attempt)",
    )


def test_a_run_that_waits_beyond_its_time_fails_the_moment_it_is_over(make_stage: MakeStage) -> None:
    engine = make_stage()
    engine.adopt(work := job(total_timeout_seconds=100.0, retry=PATIENT, circuit_breaker=CircuitBreaker(1, 60.0)))
    engine.submit(work)
    engine.report(AttemptKey(1, 1), Outcome.FAILED, exit_code=1, error="exited with 1")
    engine.workers.count = 0
    engine.pass_by(99 * SECOND)
    assert engine.run(1).state is RunState.QUEUED
    assert engine.engine._next_due == engine.clock.now() + SECOND
    engine.pass_by(SECOND)
    found = engine.run(1)
    assert (found.state, found.outcome, found.exit_code) == (RunState.FAILED, "timeout", 124)
    assert found.error == "exited with 1; its total_timeout was over before the next attempt"
    (letter,), _ = engine.history.dead_letters(DeadFilter())
    assert letter.reason == found.error
    told = [event for event in engine.events if isinstance(event, events.RunFinished | events.CircuitChanged)]
    assert {type(event) for event in told} == {events.RunFinished, events.CircuitChanged}


def test_a_retry_by_hand_begins_the_time_anew(make_stage: MakeStage) -> None:
    engine = begun(make_stage)
    engine.pass_by(90 * SECOND)
    engine.report(AttemptKey(1, 1), Outcome.FAILED, exit_code=1)
    assert engine.run(1).state is RunState.FAILED
    engine.pass_by(90 * SECOND)
    engine.retry(1)
    assert engine.workers.orders[-1].total_seconds == 100.0


def test_a_wall_clock_that_is_set_changes_nothing_about_it(make_stage: MakeStage) -> None:
    engine = begun(make_stage)
    engine.pass_by(10 * SECOND)
    engine.report(AttemptKey(1, 1), Outcome.FAILED, exit_code=1)
    engine.clock.step(timedelta(hours=1))
    engine.tick()
    engine.pass_by(40 * SECOND)
    assert engine.workers.orders[-1].total_seconds == 50.0


def test_a_job_without_it_has_all_the_time_there_is(make_stage: MakeStage) -> None:
    engine = make_stage()
    engine.adopt(work := job(retry=PATIENT, timeout_seconds=0.0))
    engine.submit(work)
    engine.report(AttemptKey(1, 1), Outcome.FAILED, exit_code=1)
    engine.pass_by(1_000_000 * SECOND)
    assert [(order.timeout_seconds, order.total_seconds) for order in engine.workers.orders] == [(0.0, 0.0)] * 2

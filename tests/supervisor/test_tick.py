"""One tick, one transaction: what its commit sets off, and what happens when there is none."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import apsw
import pytest

from jobd.core import events
from jobd.core.errors import Conflict, NotFound, TooLarge, Unavailable
from jobd.core.intents import CancelRun, RetryRun, Submit
from jobd.core.model import AttemptKey, ProcessIdentity, RetryPolicy, RunRequest
from jobd.core.retry import delay
from jobd.core.states import Outcome, RunState, Trigger
from jobd.store.queries import statements
from jobd.supervisor.specs import Specs
from tests.supervisor.stage import ANN, NOON, MakeStage, Stage, every_minute, job

SECOND = timedelta(seconds=1)


@contextmanager
def full_disk(engine: Stage) -> Iterator[None]:
    """Let no file grow beyond the size the WAL has now: the kernel refuses every further write of the store."""
    size = os.stat(engine.directory / "jobd.db-wal").st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def degraded(engine: Stage) -> list[bool]:
    return [bool(event.detail) for event in engine.events if isinstance(event, events.Degraded)]


# Orders


def test_a_submitted_run_is_ordered_in_the_tick_that_accepts_it(engine: Stage) -> None:
    work = job(env=(("A", "b"),))
    engine.adopt(work)
    (run,) = engine.submit(work, payload={"x": 1}, timeout_seconds=9.0)
    (order,) = engine.workers.orders
    assert (order.key, order.job, order.payload, order.timeout_seconds) == (AttemptKey(run, 1), "work", '{"x":1}', 9.0)
    assert order.env == (("A", "b"),)


def test_no_more_is_ordered_than_there_are_seats(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    runs = engine.submit(work, 5)
    assert [key.run for key in engine.workers.given] == runs[:2]
    assert engine.workers.wanted == 3
    engine.report(engine.workers.given[0])
    assert [key.run for key in engine.workers.given] == runs[:3]


def test_workers_that_could_not_be_hired_are_asked_for_again_once_they_can(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    work = job()
    engine.adopt(work)
    engine.submit(work, 2)
    engine.workers.wanted = 0  # nobody could be hired
    engine.engine.room_made()
    engine.loop.run_until_complete(asyncio.sleep(0.01))
    assert engine.workers.wanted == 2


def test_a_tick_with_nothing_to_do_opens_no_transaction(engine: Stage) -> None:
    engine.adopt(job())
    engine.tick()
    before = len(engine.events)
    for _ in range(5):
        engine.pass_by(SECOND)
    assert engine.events[before:] == []


def test_nothing_is_reserved_while_jobd_drains(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    (first,) = engine.submit(work)
    engine.engine.draining = True
    (second,) = engine.submit(work)
    engine.report(AttemptKey(first, 1))
    assert engine.run(first).state is RunState.SUCCEEDED
    assert engine.run(second).state is RunState.QUEUED


def test_a_run_keeps_the_definition_it_was_accepted_under(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    old = job(env=(("VERSION", "old"),))
    engine.adopt(old)
    engine.submit(old)
    engine.adopt(job(env=(("VERSION", "new"),)))
    engine.workers.count = 1
    engine.tick()
    assert engine.workers.orders[0].env == (("VERSION", "old"),)


def test_a_definition_that_cannot_be_read_fails_its_run_and_no_other(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    bad, good = job("bad"), job("good")
    engine.adopt(bad, good)
    (first,), (second,) = engine.submit(bad), engine.submit(good)
    with engine.writer.transaction(NOON) as tx:
        raw = tx._connection.raw
        raw.execute('UPDATE job_spec SET text = \'{"action":{"kind":"spell"}}\' WHERE text LIKE \'%"bad"%\'')
    engine.workers.count = 2
    engine.engine.rules.specs = Specs()  # nothing is remembered from when it could be read
    engine.tick()
    assert engine.run(first).state is RunState.FAILED
    assert "cannot be read" in (engine.run(first).error or "")
    assert [key.run for key in engine.workers.given] == [second]


# Limits


def test_a_queue_never_runs_more_than_its_limit(make_stage: MakeStage) -> None:
    engine = make_stage(seats=9, limits={"email": 2})
    mail, other = job("mail", queue="email"), job("other")
    engine.adopt(mail, other)
    engine.submit(mail, 5)
    engine.submit(other, 3)
    given = [order.job for order in engine.workers.orders]
    assert (given.count("mail"), given.count("other")) == (2, 3)
    engine.report(next(order.key for order in engine.workers.orders if order.job == "mail"))
    assert [order.job for order in engine.workers.orders].count("mail") == 3


def test_a_jobs_limit_holds_over_all_queues(make_stage: MakeStage) -> None:
    engine = make_stage(seats=9)
    work = job(max_running=2)
    engine.adopt(work)
    for queue in ("a", "b", "c"):
        engine.submit(work, 2, queue=queue)
    assert len(engine.workers.given) == 2
    for _ in range(4):
        key = next(iter(engine.workers.at_work))
        engine.report(key)
        assert len(engine.workers.at_work) == 2
    assert {order.queue for order in engine.workers.orders} == {"a", "b", "c"}


def test_a_limit_that_changes_holds_for_what_waits_already(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    engine.adopt(job())
    engine.submit(job(), 4)
    engine.adopt(job(max_running=1))
    engine.workers.count = 9
    engine.tick()
    assert len(engine.workers.given) == 1
    engine.adopt(job(max_running=3))
    engine.tick()
    assert len(engine.workers.given) == 3


def test_queues_take_turns_when_workers_are_scarce(make_stage: MakeStage) -> None:
    engine = make_stage(seats=1)
    many, few = job("many", queue="many", priority=100), job("few", queue="few")
    engine.adopt(many, few)
    engine.submit(many, 50, priority=100)
    engine.submit(few, 3)
    for _ in range(5):
        engine.report(engine.workers.given[-1])
    names = [order.job for order in engine.workers.orders]
    assert names == ["many", "few", "many", "few", "many", "few"]


def test_no_one_may_have_more_waiting_than_allowed(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    engine.engine.rules.most_queued_per_user = 5
    engine.submit(work, 5)
    task = engine.ask(Submit(ANN, (engine.request(work),) * 4))
    with pytest.raises(TooLarge, match="5 runs waiting"):
        task.result()
    assert len(engine.submit(work, 2)) == 2, "two run, three wait"


def test_submits_that_come_together_are_answered_each_with_its_own(engine: Stage) -> None:
    work, gone = job(), job("gone")
    engine.adopt(work, gone)
    of_gone = engine.request(gone)
    engine.adopt(work)
    engine.engine.rules.most_queued_per_user = 6
    asked = [
        Submit(ANN, (engine.request(work),) * 2),
        Submit(ANN, (of_gone,)),
        Submit(ANN, (engine.request(work, key="k"),)),
        Submit(ANN, (engine.request(work),) * 5),
        Submit(ANN, (engine.request(work), engine.request(work, run_at=NOON + timedelta(hours=1)))),
        CancelRun(ANN, 1),
        Submit(ANN, (engine.request(work, key="k"),)),
    ]
    said = engine.ask_together(asked)
    assert [one.id for one in said[0]] == [1, 2]
    assert isinstance(said[1], NotFound)
    assert [one.id for one in said[2]] == [3]
    assert isinstance(said[3], TooLarge), "three wait, and five are more than six"
    assert [(one.id, one.state) for one in said[4]] == [(4, RunState.QUEUED), (5, RunState.SCHEDULED)]
    assert said[5] is RunState.CANCELLED
    assert [(one.id, one.duplicate) for one in said[6]] == [(3, True)]
    accepted = [one.run for one in engine.events if isinstance(one, events.RunAccepted)]
    assert accepted == [1, 2, 3, 4, 5]


# Ends


def test_a_report_is_acknowledged_once_it_is_durable_and_only_the_first_counts(engine: Stage) -> None:
    work = job(retry=RetryPolicy("none"))
    engine.adopt(work)
    (run,) = engine.submit(work)
    key = AttemptKey(run, 1)
    engine.report(key, exit_code=0)
    engine.report(key, Outcome.FAILED, exit_code=1)
    assert engine.workers.acknowledged == [key, key]
    assert (engine.run(run).state, engine.run(run).exit_code) == (RunState.SUCCEEDED, 0)
    assert len([one for one in engine.events if isinstance(one, events.RunFinished)]) == 1


@pytest.mark.parametrize("strategy", ["fixed", "exponential"])
def test_a_retry_waits_until_an_instant_that_is_written_down(make_stage: MakeStage, strategy: str) -> None:
    engine = make_stage()
    policy = RetryPolicy(strategy, max_attempts=3, base_seconds=10.0, multiplier=3.0)  # type: ignore[arg-type]
    work = job(retry=policy)
    engine.adopt(work)
    (run,) = engine.submit(work)
    for attempt in (1, 2):
        engine.report(AttemptKey(run, attempt), Outcome.FAILED, exit_code=1)
        due = engine.clock.now() + delay(policy, attempt, run)
        assert (engine.run(run).state, engine.run(run).run_at) == (RunState.RETRYING, due)
        if attempt == 1:
            engine.again()
        engine.pass_by(due - engine.clock.now() - timedelta(microseconds=1))
        assert engine.run(run).state is RunState.RETRYING
        engine.pass_by(timedelta(microseconds=1))
        assert engine.workers.given[-1] == AttemptKey(run, attempt + 1)
    engine.report(AttemptKey(run, 3), Outcome.FAILED, exit_code=1, error="broken")
    found = engine.run(run)
    assert (found.state, found.attempts) == (RunState.FAILED, 3)


def test_a_lost_attempt_of_a_submitted_run_is_tried_again(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    (run,) = engine.submit(work)
    engine.report(AttemptKey(run, 1), Outcome.LOST)
    assert engine.workers.given == [AttemptKey(run, 1), AttemptKey(run, 2)]
    assert [one.outcome for one in engine.history.attempts(run)] == [Outcome.LOST, None]


def test_an_attempt_that_is_given_back_is_not_spent(engine: Stage) -> None:
    work = job(retry=RetryPolicy("fixed", max_attempts=1))
    engine.adopt(work)
    (run,) = engine.submit(work)
    engine.report(AttemptKey(run, 1), Outcome.INTERRUPTED, started_at=None, spent=False)
    engine.pass_by(60 * SECOND)
    assert engine.workers.given[-1] == AttemptKey(run, 2)
    engine.report(AttemptKey(run, 2))
    assert engine.run(run).state is RunState.SUCCEEDED


def test_the_child_of_an_attempt_is_written_down_with_the_next_commit(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    (run,) = engine.submit(work)
    key = AttemptKey(run, 1)
    engine.engine.inbox.started(key, ProcessIdentity("boot", 555, 5), NOON)
    engine.submit(work)
    assert engine.history.attempts(run)[0].pid == 555


# Cancel and retry


def test_a_waiting_run_that_is_cancelled_is_never_ordered(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    work = job()
    engine.adopt(work)
    (now,), (later,) = engine.submit(work), engine.submit(work, run_at=NOON + SECOND)
    assert engine.cancel(now) is RunState.CANCELLED
    assert engine.cancel(later) is RunState.CANCELLED
    engine.workers.count = 2
    engine.pass_by(2 * SECOND)
    assert engine.workers.given == []
    with pytest.raises(Conflict):
        engine.ask(CancelRun(ANN, now)).result()
    with pytest.raises(NotFound):
        engine.ask(CancelRun(ANN, 4711)).result()


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.FAILED, Outcome.LOST, Outcome.INTERRUPTED])
def test_a_running_run_that_is_cancelled_is_stopped_once_and_never_tried_again(
    make_stage: MakeStage, outcome: Outcome
) -> None:
    engine = make_stage()
    work = job(retry=RetryPolicy("fixed", max_attempts=9, base_seconds=0.0))
    engine.adopt(work)
    (run,) = engine.submit(work)
    key = AttemptKey(run, 1)
    assert engine.cancel(run) is RunState.RUNNING
    assert engine.cancel(run) is RunState.RUNNING
    assert engine.workers.stopped == [(key, Outcome.CANCELLED)]
    engine.report(key, outcome)
    engine.pass_by(60 * SECOND)
    assert engine.run(run).state is RunState.CANCELLED
    assert engine.workers.given == [key]


def test_a_failed_run_that_is_retried_goes_on_counting(engine: Stage) -> None:
    work = job(retry=RetryPolicy("none"))
    engine.adopt(work)
    (run,) = engine.submit(work)
    engine.report(AttemptKey(run, 1), Outcome.FAILED, exit_code=1)
    assert engine.retry(run) is RunState.QUEUED
    assert engine.workers.given[-1] == AttemptKey(run, 2)
    with pytest.raises(Conflict):
        engine.ask(RetryRun(ANN, run)).result()
    engine.report(AttemptKey(run, 2), exit_code=0)
    assert [one.outcome for one in engine.history.attempts(run)] == [Outcome.FAILED, Outcome.SUCCEEDED]


def test_a_known_key_answers_with_the_run_that_holds_it(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    request = engine.request(work, key="k")
    first, second = engine.ask(Submit(ANN, (request, request))).result()
    assert (first.id, first.duplicate, second.id, second.duplicate) == (first.id, False, first.id, True)
    (third,) = engine.ask(Submit(ANN, (request,))).result()
    assert (third.id, third.duplicate) == (first.id, True)


# A store that cannot be written


def test_what_a_failed_commit_did_not_settle_is_settled_later(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    (run,) = engine.submit(work)
    key = AttemptKey(run, 1)
    with full_disk(engine):
        waiting = engine.ask(Submit(ANN, (engine.request(work),)))
        engine.report(key, exit_code=0)
        engine.tick()
        assert engine.engine.storage_problem
        assert not waiting.done(), "nobody is told anything yet"
        assert engine.workers.acknowledged == []
        assert engine.workers.given == [key], "no order for what is not durable"
        assert engine.run(run).state is RunState.RUNNING
        with pytest.raises(Unavailable, match="cannot write its store"):
            engine.ask(Submit(ANN, (engine.request(work),))).result()
    engine.tick()
    assert engine.engine.storage_problem is None
    (accepted,) = waiting.result()
    assert engine.workers.acknowledged == [key]
    assert engine.workers.given == [key, AttemptKey(accepted.id, 1)]
    assert engine.run(run).state is RunState.SUCCEEDED
    assert degraded(engine) == [True, False], "said once each"


def test_a_store_that_cannot_be_written_is_tried_again_without_anyone_asking(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    (run,) = engine.submit(work)
    with full_disk(engine):
        engine.report(AttemptKey(run, 1))
        assert engine.engine.storage_problem
    done = engine.engine.finished

    async def waits() -> None:
        await asyncio.wait_for(done.of(run), 60)

    engine.loop.run_until_complete(waits())
    assert engine.run(run).state is RunState.SUCCEEDED


def test_slots_that_come_due_while_the_store_fails_are_decided_afterwards(engine: Stage) -> None:
    engine.adopt(every_minute())
    with full_disk(engine):
        engine.pass_by(60 * SECOND)
        assert engine.engine.storage_problem
        assert engine.slots("minutely") == []
        assert engine.workers.given == []
    engine.tick()
    assert engine.slots("minutely") == [(NOON + 60 * SECOND, "started")]
    assert len(engine.workers.given) == 1


def test_events_call_an_ad_hoc_run_by_the_word_that_listings_use(engine: Stage) -> None:
    request = RunRequest(job("adhoc"), Trigger.SUBMIT, adhoc=True, owner="ann", max_attempts=1)
    (first, second) = (accepted.id for accepted in engine.ask(Submit(ANN, (request, request))).result())
    engine.report(AttemptKey(first, 1))
    engine.report(AttemptKey(second, 1), Outcome.FAILED, exit_code=1)
    (third,) = (accepted.id for accepted in engine.ask(Submit(ANN, (replace(request, run_at=NOON + SECOND),))).result())
    engine.cancel(third)
    assert {event.job for event in engine.events if isinstance(event, events.RunFinished)} == {"adhoc"}


def test_a_report_that_cannot_be_kept_fails_its_run_and_no_other(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    bad, good = engine.submit(work, 2)
    keys = list(engine.workers.given)
    engine.report(keys[0], result={"half a pair": "\ud800"})
    engine.report(keys[1], exit_code=0)
    assert engine.run(bad).state is RunState.FAILED
    assert "could not be kept" in (engine.run(bad).error or "")
    assert engine.run(good).state is RunState.SUCCEEDED
    assert set(keys) <= set(engine.workers.acknowledged)


def test_a_tick_asks_for_nothing_that_could_only_be_due_by_itself_until_something_is(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    idle = {"expire", "give_up", "forget_trials", "lapsed_jobs", "lapsed_queues", "promote", "candidates"}
    assert asked(engine, lambda: engine.submit(work)) & idle == set()
    assert asked(engine, lambda: engine.submit(work, run_at=NOON + SECOND)) & idle == set()
    assert asked(engine, lambda: engine.pass_by(SECOND)) >= idle


def asked(engine: Stage, act: Callable[[], object]) -> set[str]:
    """The names of the statements that the store runs meanwhile."""
    names, found = {text: name for name, text in statements().items()}, set[str]()
    raw = engine.engine._writer._connection.raw
    raw.trace_v2(apsw.SQLITE_TRACE_STMT, lambda told: found.add(names.get(told["sql"], "")))
    try:
        act()
    finally:
        raw.trace_v2(0)
    return found

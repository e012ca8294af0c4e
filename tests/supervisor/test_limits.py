"""Rate limits and counted resources as ticks keep them: what starts, when, and over restarts and set clocks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobd.core import events
from jobd.core.buckets import Rate
from jobd.core.intents import Pause, Resume, SetQueue
from jobd.core.model import AttemptKey
from jobd.core.queues import Change
from jobd.core.states import Outcome, RunState
from tests.supervisor.stage import ANN, MakeStage, Stage, job

SECOND = timedelta(seconds=1)
GPU = (("gpu", 1),)


def running(stage: Stage, runs: list[int]) -> list[int]:
    return [run for run in runs if stage.run(run).state is RunState.RUNNING]


def finish(stage: Stage, run: int) -> None:
    stage.report(next(key for key in stage.workers.at_work if key.run == run))


@pytest.fixture
def rated(make_stage: MakeStage) -> Stage:
    stage = make_stage(seats=50)
    stage.engine.rules.reservation.rates = {"default": Rate(60, 60, 3)}
    stage.adopt(job())
    return stage


def test_a_queue_starts_its_burst_and_then_a_run_with_each_token(rated: Stage) -> None:
    runs = rated.submit(job(), 10)
    assert running(rated, runs) == runs[:3]
    rated.pass_by(0.9 * SECOND)
    assert len(running(rated, runs)) == 3
    rated.pass_by(0.1 * SECOND)
    assert running(rated, runs) == runs[:4]
    rated.pass_by(60 * SECOND)
    assert running(rated, runs) == runs[:7], "no more than the burst has gathered meanwhile"


def test_the_engine_wakes_when_the_next_token_comes(rated: Stage) -> None:
    rated.submit(job(), 4)
    assert rated.engine._next_due == rated.clock.at + SECOND


def test_a_restart_brings_no_new_tokens(rated: Stage) -> None:
    runs = rated.submit(job(), 10)
    rates = rated.engine.rules.reservation.rates
    rated.close()
    rated.open()
    rated.engine.rules.reservation.rates = rates
    rated.go_on()
    assert len(running(rated, runs)) == 3
    rated.pass_by(SECOND)
    assert len(running(rated, runs)) == 4


@pytest.mark.parametrize("hours", [-5, -1, 1, 5])
def test_a_clock_that_is_set_brings_no_tokens_and_takes_none(rated: Stage, hours: int) -> None:
    runs = rated.submit(job(), 10)
    rated.clock.step(timedelta(hours=hours))
    rated.tick()
    assert len(running(rated, runs)) == 3
    rated.pass_by(SECOND)
    assert len(running(rated, runs)) == 4


def test_a_job_has_a_rate_of_its_own_over_all_queues(make_stage: MakeStage) -> None:
    stage = make_stage(seats=50)
    slow = job("slow", rate_limit=Rate(1, 60, 2))
    stage.adopt(slow, job())
    first = stage.submit(slow, 2) + stage.submit(slow, 2, queue="other")
    others = stage.submit(job(), 5)
    assert len(running(stage, first)) == 2
    assert running(stage, others) == others, "those of others go past"
    stage.pass_by(60 * SECOND)
    assert len(running(stage, first)) == 3


def test_one_gpu_is_had_by_one_run_of_all_jobs_and_queues(make_stage: MakeStage) -> None:
    stage = make_stage(seats=50)
    train, render = job("train", uses=GPU), job("render", uses=GPU, queue="other")
    stage.adopt(train, render, job())
    runs = stage.submit(train, 2) + stage.submit(render, 2)
    plain = stage.submit(job(), 3)
    order = []
    for _ in range(4):
        (now,) = running(stage, runs)
        order.append(now)
        finish(stage, now)
    assert sorted(order) == runs
    assert running(stage, plain) == plain


def test_resources_are_counted_and_what_does_not_fit_lets_others_pass(make_stage: MakeStage) -> None:
    stage = make_stage(seats=50)
    stage.engine.rules.reservation.resources = {"pg": 4}
    big, small = job("big", uses=(("pg", 3),)), job("small", uses=(("pg", 1),))
    stage.adopt(big, small)
    bigs, smalls = stage.submit(big, 2, priority=5), stage.submit(small, 3)
    assert (running(stage, bigs), running(stage, smalls)) == (bigs[:1], smalls[:1])
    finish(stage, bigs[0])
    assert running(stage, bigs) == bigs[1:], "the higher priority first, as soon as it fits"


def test_a_submission_locks_a_key_of_its_own(make_stage: MakeStage) -> None:
    stage = make_stage(seats=50)
    stage.adopt(job())
    one = stage.submit(job(), 3, uses=(("customer-1", 1),))
    two = stage.submit(job(), 3, uses=(("customer-2", 1),))
    free = stage.submit(job(), 3)
    assert running(stage, one) == one[:1]
    assert running(stage, two) == two[:1]
    assert running(stage, free) == free
    finish(stage, one[0])
    assert running(stage, one) == one[1:2]


def test_many_locked_keys_never_stand_before_a_run_that_may_start(make_stage: MakeStage) -> None:
    stage = make_stage(seats=300)
    stage.adopt(job())
    held = [stage.submit(job(), 2, uses=((f"key-{n}", 1),), priority=9) for n in range(150)]
    assert all(running(stage, runs) == runs[:1] for runs in held)
    (last,) = stage.submit(job(), uses=(("key-free", 1),), priority=-9)
    assert running(stage, [last]) == [last]


def test_the_limit_of_a_job_holds_for_those_of_its_runs_too_that_use_something(make_stage: MakeStage) -> None:
    stage = make_stage(seats=50)
    two = job("two", max_running=2, rate_limit=Rate(60, 60, 3))
    stage.adopt(two)
    runs = stage.submit(two, 2) + stage.submit(two, 2, uses=(("a", 1),)) + stage.submit(two, uses=(("b", 1),))
    assert len(running(stage, runs)) == 2
    for run in running(stage, runs):
        finish(stage, run)
    assert len(running(stage, runs)) == 1, "the third token of three"


def test_a_resource_is_free_again_however_its_run_ended(make_stage: MakeStage) -> None:
    stage = make_stage(seats=50)
    train = job("train", uses=GPU)
    stage.adopt(train)
    first, second, third = stage.submit(train, 3, max_attempts=2)
    key = next(iter(stage.workers.at_work))
    stage.report(key, Outcome.FAILED)
    assert stage.run(first).state is RunState.RETRYING
    assert running(stage, [second, third]) == [second]
    stage.again()
    assert running(stage, [second, third]) == [second], "it is still held by what still runs"
    stage.adopt(job("train"))
    assert running(stage, [third]) == [third], "the definition asks for nothing any more"


def test_a_paused_job_takes_its_locked_runs_back_to_where_they_were(make_stage: MakeStage) -> None:
    stage = make_stage(seats=50)
    stage.adopt(job())
    runs = stage.submit(job(), 3, uses=(("key", 1),))
    stage.ask(Pause(ANN, "job", "work"))
    finish(stage, runs[0])
    more = stage.submit(job(), uses=(("other", 1),))
    assert running(stage, runs + more) == []
    stage.ask(Resume(ANN, "job", "work"))
    assert running(stage, runs + more) == [runs[1], *more]


def set_queue(stage: Stage, change: Change, queue: str = "default") -> None:
    assert stage.ask(SetQueue(ANN, queue, change)).result() is None


def test_a_limit_that_is_set_holds_at_once_and_over_a_restart(make_stage: MakeStage) -> None:
    stage = make_stage(seats=50, limits={"default": 2})
    stage.adopt(job())
    runs = stage.submit(job(), 10)
    assert len(running(stage, runs)) == 2
    set_queue(stage, Change({"max_running": 5}))
    assert len(running(stage, runs)) == 5
    stage.again()
    assert len(running(stage, runs)) == 5
    set_queue(stage, Change({"max_running": 1}))
    for run in runs[:5]:
        stage.report(AttemptKey(run, 1))
    assert running(stage, runs) == runs[5:6], "what ran goes on, and one is left at a time"
    set_queue(stage, Change(reset=("max_running",)))
    assert running(stage, runs) == runs[5:7]
    assert stage.history.queue_settings() == {}


def test_a_rate_that_is_set_goes_on_from_what_was_used_up_and_is_lifted(rated: Stage) -> None:
    runs = rated.submit(job(), 40)
    assert len(running(rated, runs)) == 3
    set_queue(rated, Change({"rate_limit": {"rate": "600/min", "burst": 20}}))
    assert len(running(rated, runs)) == 3, "no new tokens"
    rated.pass_by(SECOND)
    assert len(running(rated, runs)) == 13
    set_queue(rated, Change({"rate_limit": None}))
    assert len(running(rated, runs)) == 40
    known = rated.history.queue_settings()["default"]
    assert (known.by, known.settings) == ("ann", {"rate_limit": None})


def test_setting_a_queue_is_told_and_kept_in_the_audit_trail(rated: Stage) -> None:
    set_queue(rated, Change({"max_running": 4, "rate_limit": "5/min"}), "email")
    set_queue(rated, Change({"max_running": None}, ("rate_limit",)), "email")
    told = [str(one.change) for one in rated.events if isinstance(one, events.QueueChanged)]
    assert told == ["max_running=4 rate_limit=5/min", "max_running=none rate_limit=default"]
    (second, first) = rated.history.audit(None, None, None, 2)
    assert (first.entry.did, first.entry.on, first.entry.detail) == ("set-queue", "queue email", told[0])
    assert second.entry.detail == told[1]


def test_queues_still_take_turns_where_all_want_the_same(make_stage: MakeStage) -> None:
    stage = make_stage(seats=50)
    names = ["a", "b", "c"]
    jobs = [job(name, uses=GPU, queue=name) for name in names]
    stage.adopt(*jobs)
    runs = [run for one in jobs for run in stage.submit(one, 3)]
    served = []
    for _ in range(6):
        (now,) = running(stage, runs)
        served.append(stage.run(now).queue)
        finish(stage, now)
    assert served == names * 2

"""Slots that events bring about, days of rest and deadlines, in the store and across restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from jobd.core.model import AttemptKey, Calendar, Dependency, Job
from jobd.core.states import Outcome, RunState, Trigger
from jobd.supervisor.catalogs import Host
from tests.supervisor.stage import NOON, MakeStage, Stage, every_minute, job

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def due(engine: Stage, name: str = "minutely") -> datetime | None:
    return engine.engine.agenda.at(name)


def reboot(engine: Stage, boot_id: str) -> None:
    engine.host = Host("UTC", boot_id)
    engine.again()


def after_15m(**more: object) -> Job:
    return every_minute("rest", "after 15m", **more)


# The start of the host


def test_a_job_at_boot_runs_once_for_each_start_of_the_host_and_never_for_the_one_it_is_first_seen_in(
    engine: Stage,
) -> None:
    engine.adopt(every_minute("hello", "@boot", overlap="allow"))
    engine.again()
    assert (engine.slots("hello"), due(engine, "hello")) == ([], None)
    for number in (1, 2):
        engine.clock.pass_by(HOUR)
        reboot(engine, f"boot {number}")
        engine.again()
        engine.tick()
        assert engine.slots("hello") == [(NOON + n * HOUR, "started") for n in range(1, number + 1)]
        assert engine.run(number).trigger is Trigger.SCHEDULE


def test_a_schedule_that_becomes_boot_owes_nothing_for_the_boots_before(engine: Stage) -> None:
    work = every_minute("hello", "@daily")
    engine.adopt(work)
    reboot(engine, "second boot")
    engine.adopt(replace(work, schedule=replace(work.schedule, expressions=("@boot",))))
    engine.pass_by(MINUTE)
    assert engine.slots("hello") == []
    reboot(engine, "third boot")
    assert engine.slots("hello") == [(NOON + MINUTE, "started")]


# After the last run


def test_after_waits_for_the_end_of_the_run_and_then_counts(engine: Stage) -> None:
    engine.adopt(after_15m())
    assert due(engine, "rest") == NOON + 15 * MINUTE
    engine.pass_by(15 * MINUTE)
    (key,) = engine.workers.given
    assert due(engine, "rest") is None
    engine.pass_by(HOUR)
    assert len(engine.slots("rest")) == 1
    engine.report(key, Outcome.FAILED)
    assert due(engine, "rest") == NOON + 90 * MINUTE, "planned in the tick that ended the run"


def test_a_run_by_hand_puts_off_the_next_slot_of_after(engine: Stage) -> None:
    work = after_15m()
    engine.adopt(work)
    engine.pass_by(14 * MINUTE)
    (run,) = engine.submit(work)
    assert due(engine, "rest") is None
    engine.pass_by(5 * MINUTE)
    assert engine.slots("rest") == []
    (key,) = engine.workers.given
    assert key.run == run
    engine.report(key)
    assert due(engine, "rest") == NOON + 34 * MINUTE


def test_after_survives_restarts_and_is_caught_up(engine: Stage) -> None:
    engine.adopt(after_15m())
    engine.pass_by(15 * MINUTE)
    engine.again()
    assert due(engine, "rest") is None, "its run is still active"
    engine.report(AttemptKey(1, 1))
    assert due(engine, "rest") == NOON + 30 * MINUTE
    engine.clock.pass_by(40 * MINUTE)
    engine.again()
    assert engine.slots("rest") == [(NOON + 15 * MINUTE, "started"), (NOON + 30 * MINUTE, "started")]
    assert engine.run(2).trigger is Trigger.CATCH_UP


def test_after_keeps_its_pace_in_real_time_when_the_clock_is_set_back(engine: Stage) -> None:
    engine.adopt(after_15m())
    engine.pass_by(15 * MINUTE)
    engine.report(engine.workers.given[0])
    for back in (2 * HOUR, 50 * HOUR):
        engine.clock.step(-back)
        engine.tick()
        engine.pass_by(15 * MINUTE - SECOND)
        count = len(engine.workers.given)
        engine.pass_by(SECOND + timedelta(milliseconds=2))
        assert len(engine.workers.given) == count + 1, back
        engine.report(engine.workers.given[-1])


def test_a_run_that_a_workflow_lets_go_counts_as_the_last_one(engine: Stage) -> None:
    first, rest = job("first"), after_15m()
    engine.adopt(first, rest)
    (parent,) = engine.submit(first, max_attempts=1)
    (child,) = engine.submit(rest, depends_on=(Dependency(parent),))
    assert due(engine, "rest") is None
    engine.pass_by(HOUR)
    engine.report(engine.workers.given[0], Outcome.FAILED)
    assert engine.run(child).state is RunState.CANCELLED
    assert due(engine, "rest") == NOON + 75 * MINUTE


# Days of rest


def test_a_slot_on_a_day_of_rest_leaves_a_row_that_names_the_calendar(engine: Stage) -> None:
    rest = (Calendar("holidays", (("2026-03-02", "2026-03-02"),)),)
    engine.adopt(every_minute("daily", "0 12 * * *", exclude=rest))
    for _ in range(2):
        engine.pass_by(24 * HOUR)
    (started, skipped), _ = engine.history.slots("daily", None, None, 9, None)
    assert (skipped.disposition, skipped.run, skipped.reason) == ("skipped", None, "excluded: holidays")
    assert (started.disposition, started.run) == ("started", 1)


def test_a_slot_that_replaces_never_runs_beside_the_old_run_whatever_the_limit(engine: Stage) -> None:
    engine.adopt(replace(every_minute(overlap="replace"), max_running=3))
    engine.pass_by(MINUTE)
    engine.pass_by(MINUTE)
    (old,) = engine.workers.given
    engine.report(old, Outcome.CANCELLED)
    assert engine.run(old.run).state is RunState.CANCELLED
    assert len(engine.workers.given) == 2


# A reload in the very tick


def test_a_reload_in_the_tick_that_ends_a_run_forgets_no_slot(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    work = replace(after_15m(), expires_seconds=60.0)
    engine.adopt(work)
    engine.submit(work)
    engine.clock.pass_by(MINUTE)
    engine.adopt(replace(work, priority=7))
    assert engine.run(1).state is RunState.EXPIRED
    assert due(engine, "rest") == NOON + 16 * MINUTE


def test_a_schedule_that_changes_in_the_tick_of_its_slot_is_due_by_the_new_one(engine: Stage) -> None:
    engine.adopt(every_minute())
    engine.clock.pass_by(MINUTE)
    engine.adopt(every_minute("minutely", "*/10 * * * *"))
    assert (engine.slots("minutely"), due(engine)) == ([], NOON + 10 * MINUTE)

"""Due slots: once each, whatever is reloaded, restarted or set back."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from jobd.core import events
from jobd.core.model import AttemptKey
from jobd.core.states import Outcome, RunState, Trigger
from jobd.supervisor.catalogs import Change
from tests.supervisor.stage import NOON, MakeStage, Stage, every_minute, job

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def finish_all(engine: Stage) -> None:
    for key in list(engine.workers.at_work):
        engine.report(key)


def next_at(engine: Stage, name: str = "minutely") -> datetime | None:
    return engine.engine.agenda.at(name)


def names(change: Change) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return change.added, change.changed, change.removed


def test_a_slot_starts_its_run_with_the_jobs_own_payload(engine: Stage) -> None:
    work = replace(every_minute(), payload={"a": 1}, priority=7)
    engine.adopt(work)
    assert engine.workers.given == []
    engine.pass_by(MINUTE)
    (order,) = engine.workers.orders
    assert (order.slot, order.trigger, order.payload) == (NOON + MINUTE, Trigger.SCHEDULE, '{"a":1}')
    found = engine.run(order.key.run)
    assert (found.slot, found.priority, found.max_attempts, found.owner) == (NOON + MINUTE, 7, 1, None)
    assert engine.slots("minutely") == [(NOON + MINUTE, "started")]


def test_every_due_slot_has_one_row_and_each_started_one_a_run(engine: Stage) -> None:
    engine.adopt(every_minute(overlap="allow"), every_minute("odd", "1-59/2 * * * *"))
    for _ in range(10):
        engine.pass_by(MINUTE)
        finish_all(engine)
    assert engine.slots("minutely") == [(NOON + n * MINUTE, "started") for n in range(1, 11)]
    assert engine.slots("odd") == [(NOON + n * MINUTE, "started") for n in range(1, 11, 2)]
    assert len({order.slot for order in engine.workers.orders if order.job == "minutely"}) == 10


def test_a_slot_that_comes_due_while_the_last_run_goes_on_is_skipped_and_says_so(engine: Stage) -> None:
    engine.adopt(every_minute())
    engine.pass_by(MINUTE)
    engine.pass_by(MINUTE)
    assert [word for _, word in engine.slots("minutely")] == ["started", "skipped"]
    (skipped,) = (e for e in engine.events if isinstance(e, events.SlotDecided) and e.disposition == "skipped")
    assert skipped.run == engine.workers.given[0].run
    assert skipped.reason.startswith("overlap")
    finish_all(engine)
    engine.pass_by(MINUTE)
    assert [word for _, word in engine.slots("minutely")] == ["started", "skipped", "started"]


def test_a_slot_that_replaces_waits_until_the_old_run_is_gone(engine: Stage) -> None:
    engine.adopt(every_minute(overlap="replace"))
    engine.pass_by(MINUTE)
    (old,) = engine.workers.given
    engine.pass_by(MINUTE)
    assert engine.workers.stopped == [(old, Outcome.CANCELLED)]
    assert engine.workers.given == [old], "not before the old one is gone"
    engine.report(old, Outcome.CANCELLED)
    assert engine.run(old.run).state is RunState.CANCELLED
    assert len(engine.workers.given) == 2
    assert engine.workers.orders[1].slot == NOON + 2 * MINUTE


def test_a_slot_that_queues_waits_for_the_last_run(engine: Stage) -> None:
    engine.adopt(every_minute(overlap="queue"))
    for _ in range(3):
        engine.pass_by(MINUTE)
    assert len(engine.workers.given) == 1
    engine.report(engine.workers.given[0])
    assert [order.slot for order in engine.workers.orders] == [NOON + MINUTE, NOON + 3 * MINUTE], "the newest wins"


# Restarts and reloads


def test_a_restart_at_the_slot_itself_neither_loses_nor_doubles_it(engine: Stage) -> None:
    engine.adopt(every_minute(overlap="allow"))
    engine.clock.pass_by(MINUTE)
    engine.again()
    engine.again()
    assert engine.slots("minutely") == [(NOON + MINUTE, "started")]
    engine.pass_by(MINUTE)
    engine.again()
    assert engine.slots("minutely") == [(NOON + n * MINUTE, "started") for n in (1, 2)]


def test_missed_slots_are_caught_up_by_one_run(engine: Stage) -> None:
    engine.adopt(every_minute())
    engine.clock.pass_by(10 * MINUTE + 70 * SECOND)
    engine.again()
    words = [word for _, word in engine.slots("minutely")]
    assert words == ["coalesced"] * 10 + ["started"]
    assert [order.slot for order in engine.workers.orders] == [NOON + 11 * MINUTE]


def test_an_unchanged_job_keeps_its_next_slot_over_reloads(engine: Stage) -> None:
    other = job("other")
    every = every_minute("every", "every 7m")
    engine.adopt(every_minute(), every)
    engine.pass_by(30 * SECOND)
    before = next_at(engine), next_at(engine, "every")
    assert names(engine.adopt(every_minute(), every, other)) == (("other",), (), ())
    assert names(engine.adopt(every_minute(), every)) == ((), (), ("other",))
    assert names(engine.adopt(every_minute(), every)) == ((), (), ())
    assert (next_at(engine), next_at(engine, "every")) == before == (NOON + MINUTE, NOON + 7 * MINUTE)


def test_a_reload_between_due_and_decided_does_not_lose_the_slot(engine: Stage) -> None:
    engine.adopt(every_minute(), job())
    engine.clock.pass_by(MINUTE)
    engine.adopt(every_minute())
    assert engine.slots("minutely") == [(NOON + MINUTE, "started")]


def test_a_change_of_anything_but_the_schedule_leaves_the_slots_alone(engine: Stage) -> None:
    every = every_minute("every", "every 7m")
    engine.adopt(every)
    engine.pass_by(MINUTE)
    changed = replace(every, timeout_seconds=5.0, priority=1)
    assert names(engine.adopt(changed)) == ((), ("every",), ())
    assert next_at(engine, "every") == NOON + 7 * MINUTE


def test_a_changed_schedule_starts_afresh(engine: Stage) -> None:
    engine.adopt(every_minute("every", "every 7m"))
    engine.pass_by(5 * MINUTE)
    engine.adopt(every_minute("every", "every 6m"))
    assert next_at(engine, "every") == NOON + 11 * MINUTE
    engine.adopt(every_minute("every", "0 * * * *"))
    assert next_at(engine, "every") == NOON + HOUR


def test_a_job_that_was_switched_off_owes_nothing_for_the_time(engine: Stage) -> None:
    on = every_minute()
    engine.adopt(on)
    engine.adopt(replace(on, enabled=False))
    assert next_at(engine) is None
    engine.pass_by(5 * MINUTE)
    engine.adopt(on)
    assert engine.slots("minutely") == []
    assert next_at(engine) == NOON + 6 * MINUTE


def test_a_job_that_was_removed_stops_firing_and_its_accepted_runs_finish(make_stage: MakeStage) -> None:
    engine = make_stage(seats=0)
    engine.adopt(every_minute())
    engine.pass_by(MINUTE)
    engine.adopt()
    engine.pass_by(5 * MINUTE)
    assert engine.slots("minutely") == [(NOON + MINUTE, "started")]
    engine.workers.count = 1
    engine.tick()
    (key,) = engine.workers.given
    engine.report(key)
    assert engine.run(key.run).state is RunState.SUCCEEDED
    engine.adopt(every_minute())
    assert next_at(engine) == NOON + 7 * MINUTE, "what came due meanwhile is not owed"


# The clock


@pytest.mark.parametrize("back", [SECOND, MINUTE, HOUR, 3 * HOUR - SECOND])
def test_a_clock_that_is_set_back_fires_nothing_twice(engine: Stage, back: timedelta) -> None:
    engine.adopt(every_minute(overlap="allow"))
    for _ in range(3):
        engine.pass_by(MINUTE)
        finish_all(engine)
    fired = engine.slots("minutely")
    engine.clock.step(-back)
    for _ in range(3 + int(back / MINUTE)):
        engine.pass_by(MINUTE)
        finish_all(engine)
    again = engine.slots("minutely")
    assert again[:3] == fired
    assert len({slot for slot, _ in again}) == len(again)
    assert again[3][0] == NOON + 4 * MINUTE


def test_a_clock_that_was_hours_ahead_is_a_correction_and_slots_go_on(engine: Stage) -> None:
    engine.adopt(every_minute(overlap="allow"))
    engine.pass_by(MINUTE)
    finish_all(engine)
    engine.clock.step(-5 * HOUR)
    engine.tick()
    for _ in range(3):
        engine.pass_by(MINUTE)
        finish_all(engine)
    slots = [slot for slot, word in engine.slots("minutely") if word == "started"]
    assert slots[:3] == [NOON - 5 * HOUR + n * MINUTE for n in (2, 3, 4)]


def test_a_clock_that_jumps_ahead_owes_one_catch_up_at_most(engine: Stage) -> None:
    engine.adopt(every_minute(overlap="allow", catch_up="all"))
    engine.clock.step(6 * HOUR)
    engine.tick()
    assert len(engine.workers.given) <= 1


@pytest.mark.parametrize("seed", range(8))
def test_no_slot_fires_twice_in_a_life_of_restarts_reloads_and_small_steps(make_stage: MakeStage, seed: int) -> None:
    engine, dice = make_stage(seats=50), random.Random(seed)
    minutely, other = every_minute(overlap="allow", catch_up="all"), job("other")
    engine.adopt(minutely)
    fired: list[datetime | None] = []
    seen: set[AttemptKey] = set()
    for _ in range(40):
        match dice.randrange(5):
            case 0:
                engine.again()
            case 1:
                engine.adopt(*([minutely, other] if dice.random() < 0.5 else [minutely]))
            case 2:
                engine.clock.step(timedelta(seconds=dice.randrange(-600, 600)))
                engine.tick()
            case _:
                engine.pass_by(timedelta(seconds=dice.randrange(200)))
        fired += [order.slot for order in engine.workers.orders if order.key not in seen]
        seen |= {order.key for order in engine.workers.orders}
        finish_all(engine)
    assert len(fired) == len(set(fired)), f"seed {seed}"
    rows = engine.slots("minutely")
    assert len({slot for slot, _ in rows}) == len(rows)
    assert all(slot > NOON for slot, _ in rows), "none at or before the watermark"
    assert {slot for slot, word in rows if word == "started"} == set(fired)

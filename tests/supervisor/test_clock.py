"""What the clock does to jobs, retries and attempts that are under way: while jobd runs, sleeps, and is down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jobd.core import events
from jobd.core.model import RetryPolicy
from jobd.core.states import Outcome, RunState
from jobd.store import recovery
from tests.supervisor.stage import NOON, Stage, every_minute, job, stage
from tests.supervisor.test_tick import full_disk

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEPS = [-30 * DAY, -HOUR, -SECOND, SECOND, HOUR, 30 * DAY]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path, seats=50) as made:
        yield made


def words(engine: Stage, name: str = "minutely") -> list[str]:
    return [word for _, word in engine.slots(name)]


def next_at(engine: Stage, name: str = "minutely") -> datetime | None:
    return engine.engine.agenda.at(name)


@pytest.mark.parametrize("step", STEPS)
def test_every_keeps_its_pace_and_owes_nothing_when_the_clock_is_set(engine: Stage, step: timedelta) -> None:
    engine.adopt(every_minute(expression="every 1m", overlap="allow", catch_up="all"))
    for _ in range(3):
        engine.pass_by(MINUTE)
    engine.pass_by(20 * SECOND)
    engine.clock.step(step)
    engine.tick()
    assert words(engine) == ["started"] * 3
    due_at = next_at(engine)
    assert due_at is not None
    assert timedelta(0) <= due_at - (engine.clock.now() + 40 * SECOND) <= timedelta(milliseconds=1)
    engine.pass_by(41 * SECOND)
    assert words(engine) == ["started"] * 4


@pytest.mark.parametrize("step", STEPS)
def test_after_counts_real_time_from_the_end_of_the_last_run_when_the_clock_is_set(
    engine: Stage, step: timedelta
) -> None:
    engine.adopt(every_minute(expression="after 1m"))
    engine.pass_by(MINUTE)
    engine.report(engine.workers.given[0])
    engine.pass_by(20 * SECOND)
    engine.clock.step(step)
    engine.tick()
    assert words(engine) == ["started"]
    engine.pass_by(39 * SECOND)
    assert words(engine) == ["started"]
    engine.pass_by(2 * SECOND)
    assert words(engine) == ["started"] * 2


@pytest.mark.parametrize("step", STEPS)
def test_the_delay_of_a_retry_is_real_time(engine: Stage, step: timedelta) -> None:
    work = job(retry=RetryPolicy("fixed", base_seconds=60.0, jitter=0.0))
    engine.adopt(work)
    (run,) = engine.submit(work, max_attempts=3)
    engine.report(engine.workers.given[0], Outcome.FAILED, exit_code=1)
    assert engine.run(run).run_at == NOON + MINUTE
    engine.clock.step(step)
    engine.tick()
    assert engine.run(run).run_at == NOON + MINUTE + step
    engine.pass_by(59 * SECOND)
    assert engine.run(run).state is RunState.RETRYING
    engine.pass_by(SECOND)
    assert engine.run(run).state is RunState.RUNNING


def test_an_attempt_under_way_began_as_long_ago_after_the_clock_was_set(engine: Stage) -> None:
    work = job()
    engine.adopt(work)
    (run,) = engine.submit(work)
    engine.clock.pass_by(10 * SECOND)
    engine.clock.step(-2 * HOUR)
    engine.tick()
    assert engine.run(run).started_at == engine.clock.now() - 10 * SECOND
    (attempt,) = engine.history.attempts(run)
    assert attempt.reserved_at == engine.clock.now() - 10 * SECOND


def test_a_step_that_could_not_be_committed_is_dealt_with_by_the_next_tick(engine: Stage) -> None:
    engine.adopt(every_minute(expression="every 1m"))
    engine.clock.step(-HOUR)
    with full_disk(engine):
        engine.tick()
        assert engine.engine.storage_problem
    engine.pass_by(MINUTE + SECOND)
    assert words(engine) == ["started"]
    assert sum(isinstance(event, events.ClockStepped) for event in engine.events) == 1


def test_a_night_asleep_is_caught_up_like_one_switched_off(engine: Stage) -> None:
    engine.adopt(every_minute(overlap="allow", catch_up="all"), every_minute("one", overlap="allow"))
    engine.clock.sleep(8 * HOUR)
    engine.tick()
    runs = words(engine).count("started")
    assert 100 <= runs <= 101
    assert words(engine, "one").count("started") == 1
    assert not any(isinstance(event, events.ClockStepped) for event in engine.events)


@pytest.mark.parametrize("back", [HOUR, 5 * HOUR, 30 * DAY])
def test_a_clock_set_back_while_the_host_was_off_does_not_silence_every(engine: Stage, back: timedelta) -> None:
    engine.adopt(every_minute(expression="every 1m"))
    engine.pass_by(MINUTE)
    engine.clock.step(-back)
    engine.again()
    assert words(engine).count("started") == 1
    engine.pass_by(MINUTE + SECOND)
    assert words(engine).count("started") + words(engine).count("skipped") == 2


def test_a_clock_corrected_back_while_the_host_was_off_does_not_silence_cron(engine: Stage) -> None:
    engine.adopt(every_minute(overlap="allow"))
    engine.pass_by(MINUTE)
    engine.clock.step(-30 * DAY)
    engine.again()
    engine.pass_by(MINUTE)
    assert engine.slots("minutely")[0][0] == NOON - 30 * DAY + 2 * MINUTE


def test_a_clock_set_while_jobd_was_down_is_known_by_what_the_last_jobd_wrote_down(engine: Stage) -> None:
    with engine.writer.transaction(NOON) as tx:
        assert recovery.clock_of(tx, "this-boot", NOON, 1000.0) == (NOON, 1000.0)
    with engine.writer.transaction(NOON) as tx:
        recovery.shift_clock(tx, HOUR)
    with engine.writer.transaction(NOON + 2 * HOUR) as tx:
        known = recovery.clock_of(tx, "this-boot", NOON + 2 * HOUR, 1060.0)
        assert known == (NOON + HOUR, 1000.0)
        again = recovery.clock_of(tx, "the-next-boot", NOON + 3 * HOUR, 5.0)
        assert again == (NOON + 3 * HOUR, 5.0), "what another boot wrote down says nothing"


@pytest.mark.parametrize("step", [-30 * DAY, -(3 * HOUR + MINUTE), 30 * DAY])
def test_a_clock_that_was_wrong_and_is_right_again_neither_repeats_nor_loses(engine: Stage, step: timedelta) -> None:
    engine.adopt(every_minute(catch_up="all"))
    for _ in range(3):
        engine.pass_by(MINUTE)
        for key in list(engine.workers.at_work):
            engine.report(key)
    engine.clock.step(step)
    engine.pass_by(20 * SECOND)
    for key in list(engine.workers.at_work):
        engine.report(key)
    engine.clock.step(-step)
    engine.pass_by(45 * SECOND)
    fired = [order.slot for order in engine.workers.orders]
    assert len(fired) == len(set(fired))
    assert NOON + 4 * MINUTE in fired, "the slot that came due as the clock was right again"
    assert not [slot for slot, _ in engine.slots("minutely") if NOON - 29 * DAY < slot <= NOON]

"""Coming slots of many jobs are one row in time, and an interval keeps to the slots that the ticks will fire."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from jobd.core.model import Schedule
from jobd.supervisor import upcoming
from tests.supervisor.stage import NOON, Stage, every_minute, job

MINUTE = timedelta(minutes=1)


def coming(
    engine: Stage, count: int, start: datetime | None = None, end: datetime | None = None
) -> list[tuple[datetime, str]]:
    jobs, planned = engine.engine.rules.in_force.values(), engine.engine.agenda.at
    found = asyncio.run(
        upcoming.coming(jobs, planned, upcoming.remarks({}, engine.clock.now()), count, engine.clock.now(), start, end)
    )
    return [(one.at, one.job) for one in found]


def test_the_slots_of_all_jobs_come_in_order(engine: Stage) -> None:
    engine.adopt(every_minute("a", "1,3 * * * *"), every_minute("b", "2 * * * *"), job("on-request"))
    assert coming(engine, 4) == [
        (NOON + MINUTE, "a"), (NOON + 2 * MINUTE, "b"), (NOON + 3 * MINUTE, "a"), (NOON + 61 * MINUTE, "a"),
    ]  # fmt: skip


def test_a_range_leaves_its_start_out_and_takes_its_end_in(engine: Stage) -> None:
    engine.adopt(every_minute("a"))
    assert coming(engine, 9, NOON + MINUTE, NOON + 3 * MINUTE) == [(NOON + 2 * MINUTE, "a"), (NOON + 3 * MINUTE, "a")]


def test_an_interval_is_told_as_it_will_fire(engine: Stage) -> None:
    engine.adopt(job("often", schedule=Schedule(("every 7m",), "UTC")))
    planned = engine.engine.agenda.at("often")
    assert planned == NOON + 7 * MINUTE
    engine.clock.pass_by(MINUTE)
    assert (
        coming(engine, 2)
        == coming(engine, 2, engine.clock.now())
        == [(planned, "often"), (NOON + 14 * MINUTE, "often")]
    )
    assert coming(engine, 1, NOON + 8 * MINUTE) == [(NOON + 14 * MINUTE, "often")]

"""A queue that is drained takes nothing new and serves what it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobd.core.errors import Conflict
from jobd.core.intents import SetQueue, Submit
from jobd.core.model import Unique
from jobd.core.queues import Change
from jobd.core.states import RunState
from tests.supervisor.stage import ANN, Stage, every_minute, job, stage

MINUTE = timedelta(minutes=1)
DRAIN, OPEN = Change({"draining": True}), Change(reset=("draining",))


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path, seats=1) as made:
        yield made


def set_queue(on: Stage, change: Change) -> None:
    on.ask(SetQueue(ANN, "default", change)).result()


def test_new_runs_are_refused_in_every_way_they_come_and_other_queues_take_theirs(on: Stage) -> None:
    on.adopt(job())
    set_queue(on, DRAIN)
    for more in ({}, {"key": "k"}, {"unique": Unique()}):
        with pytest.raises(Conflict, match=r"queue default is being drained \(by ann\)"):
            on.submit(job(), **more)
    assert on.submit(job(), queue="other")
    on.again()
    with pytest.raises(Conflict):
        on.submit(job())
    set_queue(on, OPEN)
    assert on.submit(job())


def test_what_waits_is_served_and_a_held_key_still_answers(on: Stage) -> None:
    on.adopt(job())
    (first, second) = on.submit(job(), 2)
    (keyed,) = on.submit(job(), key="k")
    set_queue(on, DRAIN)
    (again,) = on.ask(Submit(ANN, (on.request(job(), key="k"),))).result()
    assert again.duplicate and again.id == keyed
    for run in (first, second, keyed):
        on.report(on.workers.given[-1])
        assert on.run(run).state is RunState.SUCCEEDED


def test_slots_of_its_jobs_are_skipped_with_the_reason(on: Stage) -> None:
    on.adopt(replace(every_minute(overlap="allow")))
    set_queue(on, DRAIN)
    on.pass_by(MINUTE)
    set_queue(on, OPEN)
    on.pass_by(MINUTE)
    (started, skipped), _ = on.history.slots("minutely", None, None, 10, None)
    assert (started.disposition, skipped.disposition) == ("started", "skipped")
    assert skipped.reason == "paused: queue default is being drained (by ann)"

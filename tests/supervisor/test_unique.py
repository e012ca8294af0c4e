"""Unique runs on a real store: what a second one comes to, alone, in batches, fired and tried again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.core.errors import Conflict
from jobd.core.intents import Accepted, Actor, RetryDead, Submit
from jobd.core.model import Job, RunRequest, Unique, Workflow
from jobd.core.records import DeadFilter
from jobd.core.roles import Role
from jobd.core.states import Outcome, RunState
from tests.supervisor.stage import ANN, Stage, every_minute, job, stage

MINUTE = timedelta(minutes=1)
BOB = Actor(1001, 1001, 1, "bob", role=Role.SUBMITTER)
KEEP, REPLACE, ERROR = Unique(), Unique(on_conflict="replace"), Unique(fields=("id",), on_conflict="error")


@pytest.fixture
def on_stage(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path, seats=0) as made:
        yield made


def send(on: Stage, *requests: RunRequest, actor: Actor = ANN) -> list[Accepted]:
    return on.ask(Submit(actor, requests)).result()  # type: ignore[no-any-return]


def unique(on: Stage, unique_: Unique, definition: Job | None = None, **more: Any) -> RunRequest:
    return on.request(definition or job(), unique=unique_, **more)


def count(on: Stage) -> int:
    return sum(
        figures.counts.get(state, 0) for figures in on.history.queues(on.clock.now()).values() for state in RunState
    )


def test_keep_answers_with_the_run_that_is_there(on_stage: Stage) -> None:
    on_stage.adopt(job())
    (first,) = send(on_stage, unique(on_stage, KEEP))
    assert send(on_stage, unique(on_stage, KEEP)) == [Accepted(first.id, RunState.QUEUED, duplicate=True)]


def test_replace_gives_the_waiting_run_what_came_later(on_stage: Stage) -> None:
    on_stage.adopt(job())
    by_nothing = replace(REPLACE, fields=())
    (first,) = send(on_stage, unique(on_stage, by_nothing, payload={"n": 1}))
    later = on_stage.clock.now() + MINUTE
    (second,) = send(on_stage, unique(on_stage, by_nothing, payload={"n": 2}, priority=7, run_at=later))
    assert second == Accepted(first.id, RunState.SCHEDULED, duplicate=True, replaced=True)
    found = on_stage.run(first.id)
    assert (found.payload, found.priority, found.run_at, found.state) == ({"n": 2}, 7, later, RunState.SCHEDULED)
    (third,) = send(on_stage, unique(on_stage, by_nothing, payload=None))
    assert third.state is RunState.QUEUED and on_stage.run(first.id).payload is None


def test_a_run_that_is_under_way_or_anothers_cannot_be_replaced(tmp_path: Path) -> None:
    with stage(tmp_path, seats=1) as on:
        on.adopt(job())
        send(on, unique(on, REPLACE))
        refused = on.ask(Submit(ANN, (unique(on, REPLACE),)))
        with pytest.raises(Conflict, match="cannot be replaced any more"):
            refused.result()
        send(on, unique(on, replace(REPLACE, text="waits")))
        refused = on.ask(Submit(BOB, (unique(on, replace(REPLACE, text="waits"), owner="bob"),)))
        with pytest.raises(Conflict, match="not yours"):
            refused.result()


def test_an_error_takes_back_the_whole_batch_and_nothing_else(on_stage: Stage) -> None:
    on_stage.adopt(job())
    wanted = [unique(on_stage, ERROR, payload={"id": n}) for n in (1, 2, 1)]
    refused = on_stage.ask(Submit(ANN, tuple(wanted)))
    with pytest.raises(Conflict, match="holds the unique key"):
        refused.result()
    assert count(on_stage) == 0
    assert not [event for event in on_stage.events if type(event).__name__ == "RunAccepted"]
    assert len(send(on_stage, *wanted[:2])) == 2
    assert count(on_stage) == 2


def test_a_batch_is_decided_item_by_item(on_stage: Stage) -> None:
    on_stage.adopt(job())
    by_id = Unique(fields=("id",))
    made = send(on_stage, *(unique(on_stage, by_id, payload={"id": n}) for n in (1, 2, 1)), on_stage.request(job()))
    assert [one.duplicate for one in made] == [False, False, True, False]
    assert made[2].id == made[0].id and count(on_stage) == 3


def test_an_idempotency_key_answers_before_what_is_unique(on_stage: Stage) -> None:
    on_stage.adopt(job())
    (first,) = send(on_stage, unique(on_stage, ERROR, payload={"id": 1}, key="k"))
    (again,) = send(on_stage, unique(on_stage, ERROR, payload={"id": 2}, key="k"))
    assert again.duplicate and again.id == first.id


def test_a_key_that_has_passed_on_stays_with_the_newer_run_when_the_older_is_retried(on_stage: Stage) -> None:
    on_stage.adopt(job())
    (older,) = send(on_stage, on_stage.request(job(), key="k"))
    on_stage.cancel(older.id)
    on_stage.pass_by(timedelta(hours=25))
    (newer,) = send(on_stage, on_stage.request(job(), key="k"))
    assert newer.id != older.id and on_stage.retry(older.id) is RunState.QUEUED
    (again,) = send(on_stage, on_stage.request(job(), key="k"))
    assert again.duplicate and again.id == newer.id


def test_a_workflow_comes_once_with_its_unique_run(on_stage: Stage) -> None:
    follow = job("follow", unique=KEEP)
    lead = job("lead", unique=KEEP, workflow=Workflow(then=("follow",)))
    on_stage.adopt(lead, follow)
    (first,) = send(on_stage, unique(on_stage, KEEP, lead))
    (again,) = send(on_stage, unique(on_stage, KEEP, lead))
    assert again.duplicate and again.id == first.id and count(on_stage) == 2


def test_a_fired_run_gives_way_to_the_one_that_holds_its_key(on_stage: Stage) -> None:
    minutely = replace(every_minute(overlap="allow"), unique=KEEP)
    on_stage.adopt(minutely)
    on_stage.pass_by(MINUTE)
    on_stage.pass_by(MINUTE)
    (newer, older), _ = on_stage.history.slots("minutely", None, None, 10, None)
    assert older.disposition == "started" and newer.disposition == "skipped"
    assert newer.run is None and newer.reason == f"unique: run {older.run} (queued)"
    on_stage.cancel(older.run or 0)
    on_stage.pass_by(MINUTE)
    assert on_stage.slots("minutely")[-1][1] == "started"


def test_retrying_a_failed_run_whose_key_is_taken_says_by_whom(tmp_path: Path) -> None:
    with stage(tmp_path, seats=1) as on:
        on.adopt(job())
        (failed,) = send(on, unique(on, KEEP, max_attempts=1))
        on.report(on.workers.given[-1], Outcome.FAILED)
        assert on.run(failed.id).state is RunState.FAILED
        (holder,) = send(on, unique(on, KEEP))
        with pytest.raises(Conflict, match=f"run {holder.id} .* holds its key by now"):
            on.retry(failed.id)
        assert on.ask(RetryDead(ANN, DeadFilter())).result().runs == ()
        on.report(on.workers.given[-1])
        assert on.retry(failed.id) is RunState.QUEUED

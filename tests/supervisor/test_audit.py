"""The audit trail as ticks write it: one entry for each change, with it or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from jobd.core.audit import Entry, first_broken
from jobd.core.intents import Actor, CancelRun, DropDead, Noted, Pause, RetryDead, Submit
from jobd.core.records import DeadFilter
from jobd.core.roles import Role
from jobd.core.states import Outcome
from jobd.store import audit
from jobd.supervisor.denials import Denials
from tests.supervisor.stage import ANN, Stage, job, stage

BOB = Actor(1001, 1001, 9, "bob", Role.OPERATOR, "/usr/bin/curl")


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path, seats=1) as made:
        made.adopt(job())
        yield made


def trail(on: Stage) -> list[Entry]:
    kept = on.history.audit_after(0, 1000)
    assert first_broken(on.history.audit_anchor(), kept) is None
    return [one.entry for one in kept]


def test_every_change_is_kept_with_who_did_what_to_what(on: Stage) -> None:
    (run,) = on.submit(job(), max_attempts=1)
    on.ask(CancelRun(BOB, run))
    on.ask(Pause(BOB, "queue", "default", on.clock.now() + timedelta(hours=1), "moving house"))
    submitted, cancelled, paused = trail(on)
    assert (submitted.user, submitted.did, submitted.on, submitted.detail) == ("ann", "submit", "runs 1", "of work")
    assert (cancelled.uid, cancelled.user, cancelled.pid) == (1001, "bob", 9)
    assert (cancelled.executable, cancelled.did, cancelled.on) == ("/usr/bin/curl", "cancel-run", "run 1")
    assert (paused.did, paused.on, paused.result) == ("pause", "queue default", "done")
    assert paused.detail.endswith("; moving house")


def test_what_is_refused_is_kept_with_the_reason(on: Stage) -> None:
    on.ask(CancelRun(BOB, 77)).exception()
    (entry,) = trail(on)
    assert (entry.result, entry.detail) == ("refused", "there is no run 77")


def test_dead_letters_are_named_by_run_or_filter(on: Stage) -> None:
    (run,) = on.submit(job(), max_attempts=1)
    on.report(on.workers.given[-1], Outcome.FAILED)
    on.ask(RetryDead(BOB, DeadFilter(runs=(run,)), {"x": 1}, replaces_payload=True))
    on.ask(DropDead(BOB, DeadFilter(job="work", queue="default")))
    assert [(one.did, one.on, one.detail) for one in trail(on)[1:]] == [
        ("retry-dead", "runs 1", "with another payload"),
        ("drop-dead", "dead letters of job work and queue default", ""),
    ]


def test_submits_of_one_client_that_come_together_are_one_entry(on: Stage) -> None:
    on.engine.inbox.wake = lambda: None
    futures = [on.loop.create_task(on.engine.ask(Submit(actor, (on.request(job()),) * 2))) for actor in (ANN, ANN, BOB)]
    on.tick()
    assert all(future.done() for future in futures)
    assert [(one.user, one.on, one.times) for one in trail(on)] == [("ann", "runs 1-4", 2), ("bob", "runs 5-6", 1)]


def test_what_happened_outside_of_a_tick_is_kept_too(on: Stage) -> None:
    on.ask(Noted(BOB, "reload", "definitions", "1 added"))
    (entry,) = trail(on)
    assert (entry.did, entry.on, entry.detail) == ("reload", "definitions", "1 added")


def test_entries_cannot_be_changed_or_taken_out_of_the_middle(on: Stage) -> None:
    for _ in range(3):
        on.ask(Noted(BOB, "reload"))
    with on.writer.transaction(on.clock.now()) as tx, pytest.raises(apsw.ConstraintError, match="cannot be changed"):
        tx._connection.raw.execute("UPDATE audit SET user = 'eve' WHERE id = 2")
    with on.writer.transaction(on.clock.now()) as tx, pytest.raises(apsw.ConstraintError, match="only the oldest"):
        tx._connection.raw.execute("DELETE FROM audit WHERE id = 2")
    assert len(trail(on)) == 3


def test_old_entries_are_forgotten_from_the_beginning_and_the_rest_stays_whole(on: Stage) -> None:
    for _ in range(4):
        on.ask(Noted(BOB, "reload"))
        on.clock.pass_by(timedelta(days=1))
    with on.writer.transaction(on.clock.now()) as tx:
        assert audit.forget(tx, on.clock.now() - timedelta(days=2, hours=12), 10) == 2
    assert len(trail(on)) == 2
    with on.writer.transaction(on.clock.now()) as tx:
        assert audit.forget(tx, on.clock.now(), 10) == 2
    on.ask(Noted(BOB, "reload"))
    assert len(trail(on)) == 1


def test_denials_that_come_fast_are_counted_in_one_entry() -> None:
    noted: list[Noted] = []

    async def check() -> None:
        denials = Denials(noted.append)
        for _ in range(5):
            denials.take(BOB, "POST /v1/reload", "bob may not")
        assert [(one.result, one.times) for one in noted] == [("denied", 1)]
        denials.let_go(BOB.uid)
        denials.let_go(BOB.uid)
        assert [one.times for one in noted] == [1, 4]

    asyncio.run(check())

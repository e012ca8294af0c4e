"""A durable queue's whole life over the real engine and a real file, held against a model in plain Python.

After each step every run is as the model has it, every statement of tests/store/invariants.py holds, and every order
that was given is one that could be, in its turn, for the first time. Commits fail, and supervisors die around them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobd.core.intents import CancelRun, DropDead, Intent, Pause, Resume, RetryDead, RetryRun, Submit
from jobd.core.model import AttemptKey, Dependency, Directive, Ending, Finished, Job, RetryPolicy
from jobd.core.records import DeadFilter
from jobd.core.retention import Pruned, Retention
from jobd.core.spans import from_micros
from jobd.core.states import Condition, Outcome
from jobd.supervisor import recover
from jobd.supervisor.prune import Pruner
from jobd.work.output import OutputFiles
from tests.store import invariants
from tests.supervisor.faults import Died, Fault, FaultyWriter, LeftBehind
from tests.supervisor.model import FINAL, WAITING, Model, Run, Wait
from tests.supervisor.stage import ANN, NOON, SetClock, Stage, every_minute, job

SEATS, LIMITS = 3, {"narrow": 1}
NAMES = ("alpha", "beta", "gamma")
QUEUES = {"alpha": "default", "beta": "narrow", "gamma": "default"}
SOME = st.integers(0, 99)
"""Which one of those that a rule can act on: the number is taken modulo how many there are."""
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(["", "", "", "", "disk full", "dies before", "dies after"])
FATES = st.lists(st.sampled_from(["lives", "reported", "lost"]), min_size=SEATS, max_size=SEATS)
DEFINITIONS = st.fixed_dictionaries(
    {
        "max_running": st.sampled_from([None, 1, 2]),
        "most": st.integers(1, 3),
        "base_seconds": st.sampled_from([0.0, 10.0, 90.0]),
        "dead_letter": st.sampled_from([True, True, False]),
        "on_lost": st.sampled_from([None, "fail"]),
    }
)
USUAL = st.sampled_from(
    [
        Ending(Outcome.SUCCEEDED),
        Ending(Outcome.SUCCEEDED),
        Ending(Outcome.FAILED, exit_code=3),
        Ending(Outcome.FAILED, exit_code=3),
    ]
)
UNUSUAL = st.sampled_from(
    [
        Ending(Outcome.FAILED, exit_code=127),
        Ending(Outcome.TIMEOUT, exit_code=124),
        Ending(Outcome.LOST),
        Ending(Outcome.INTERRUPTED, spent=False),
        Ending(Outcome.FAILED, directive=Directive("retry", 5.0)),
        Ending(Outcome.SUCCEEDED, directive=Directive("snooze", 20.0)),
        Ending(Outcome.FAILED, directive=Directive("cancel")),
        Ending(Outcome.FAILED, directive=Directive("discard")),
    ]
)
HOURS = timedelta(hours=1)


def defined(name: str, most: int = 2, base_seconds: float = 10.0, **more: Any) -> Job:
    policy = RetryPolicy("fixed", max_attempts=most, base_seconds=base_seconds, jitter=0.0)
    return job(name, queue=QUEUES[name], retry=policy, **more)


class Queue(RuleBasedStateMachine):
    """One daemon with three seats, three jobs that are submitted and one that fires by the clock."""

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="jobd-machine-"))
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self.note_failure)
        self.failures: list[BaseException] = []
        self.given: set[AttemptKey] = set()
        self.told: list[Finished] = []
        """Reports that a worker was not rid of when the supervisor died."""
        self.epoch, self.pruned = 0, 0
        self.stepped = False
        self.stage = Stage(self.directory, SetClock(NOON), self.loop, SEATS, LIMITS)
        self.base = apsw.Connection(str(self.directory / "jobd.db"), flags=apsw.SQLITE_OPEN_READONLY)
        self.writer = self.make_faulty()
        self.model = Model(NOON, LIMITS)
        self.define([defined(name) for name in NAMES])

    def make_faulty(self) -> FaultyWriter:
        made = FaultyWriter(self.stage.writer)
        self.stage.engine._writer = made  # type: ignore[assignment]
        return made

    def note_failure(self, _: object, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Died):
            self.failures.append(context.get("exception") or RuntimeError(context["message"]))

    # What happens, with the commit that it takes

    def happens(
        self, act: Callable[[], Any], expect: Callable[[], None], fault: Fault = "", fates: list[str] | None = None
    ) -> Any:
        """Do it, and have the model do it; the commit fails at first, or is the last of this supervisor."""
        before = self.everything() if fault else []
        self.writer.fault = fault
        done = act()
        if fault == "disk full":
            self.nothing_was_set_off(before, done)
            self.writer.fault = ""
            self.stage.tick()
        if fault == "dies before":
            assert self.everything() == before
        else:
            expect()
        if fault.startswith("dies"):
            if isinstance(done, asyncio.Task):
                assert not done.done(), "answered by the dead"
                done.cancel()
            self.look()
            self.go_on(fates or [])
            return None
        self.look()
        return done.result() if isinstance(done, asyncio.Task) else done

    def nothing_was_set_off(self, before: object, done: Any) -> None:
        """What could not be committed is in no file, was handed to no worker, and is told to nobody."""
        self.stage.tick()
        assert self.everything() == before
        assert set(self.stage.workers.given) <= self.given
        assert not isinstance(done, asyncio.Task) or not done.done(), "answered before the commit"

    def everything(self) -> list[tuple[Any, ...]]:
        tables = ("run", "attempt", "edge", "dead_letter", "slot", "tally", "run_key", "run_data", "job")
        return [row for table in tables for row in self.base.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]

    def ask(self, intent: Intent) -> Callable[[], Any]:
        return lambda: self.stage.ask(intent)

    def go_on(self, fates: list[str]) -> None:
        """The supervisor is gone: another one opens the file and judges what was under way."""
        old = self.stage.workers
        left = dict(zip(old.at_work.items(), fates, strict=False))
        alive = {seat: key for (key, seat), fate in left.items() if fate == "lives"}
        ending = Ending(Outcome.SUCCEEDED, self.stage.clock.now(), self.stage.clock.now())
        told = self.told + [Finished(key, ending) for (key, _), fate in left.items() if fate == "reported"]
        self.told = []
        self.stage.close()
        self.stage.open()
        self.writer = self.make_faulty()
        pool = LeftBehind(alive, told)
        with self.stage.writer.transaction(self.stage.clock.now()) as tx:
            found = recover.look(tx, self.stage.engine.rules.specs, timedelta(0))
        assert found.epoch > self.epoch, "I13"
        self.epoch = found.epoch
        judged = recover.judge(found, pool, self.stage.clock.now())  # type: ignore[arg-type]
        self.stage.workers.at_work.update(pool.adopted)
        for finished in judged.reports:
            self.stage.engine.inbox.report(finished)
            self.model.finish(finished.key.run, finished.ending)
        assert set(pool.forgotten) == {one.key for one in told} - {one.key for one in judged.reports}
        self.stage.go_on()
        self.look()

    # What clients do

    @rule(name=st.sampled_from(NAMES), number=st.integers(1, 4), priority=st.integers(-1, 1), fault=FAULTS, fates=FATES)
    def submit_at_once(self, name: str, number: int, priority: int, fault: Fault, fates: list[str]) -> None:
        self.order(name, number, priority, None, None, None, [], fault, fates)

    @rule(
        name=st.sampled_from(NAMES),
        priority=st.integers(-1, 1),
        delay=st.sampled_from([None, None, None, -60, 30, 300]),
        key=st.sampled_from([None, None, "k1", "k2"]),
        expires=st.sampled_from([None, None, 20.0, 200.0]),
        parents=st.lists(st.tuples(SOME, st.sampled_from([*Condition])), max_size=2),
        fault=FAULTS,
        fates=FATES,
    )
    def submit(self, name: str, fault: Fault, fates: list[str], **more: Any) -> None:
        self.order(name, 1, fault=fault, fates=fates, **more)

    def order(
        self,
        name: str,
        number: int,
        priority: int,
        delay: float | None,
        key: str | None,
        expires: float | None,
        parents: list[tuple[int, Condition]],
        fault: Fault,
        fates: list[str],
    ) -> None:
        if name not in self.stage.engine.rules.in_force:
            return
        now = self.model.now
        known = list(self.model.runs)[-8:]
        awaited = {known[one % len(known)]: on for one, on in parents} if known else {}
        run_at = None if delay is None else now + timedelta(seconds=delay)
        definition = self.stage.engine.rules.in_force[name].job
        request = self.stage.request(
            definition,
            priority=priority,
            run_at=run_at,
            key=key,
            expires_seconds=expires,
            payload={"n": len(self.model.runs)},
            depends_on=tuple(Dependency(run, on) for run, on in awaited.items()),
        )
        holder, first = self.model.holder(definition, key), self.next_id()

        def expect() -> None:
            for run in range(first, first + (0 if holder else number)):
                waits = {parent: Wait(str(on)) for parent, on in awaited.items()}
                ends = None if expires is None else max(now, run_at or now) + timedelta(seconds=expires)
                most = definition.retry.max_attempts or 0
                made = Run(run, definition, request.queue, priority, run_at or now, now, most, request.payload, key)
                made.expires_at, made.waits = ends, waits
                self.model.accept(made)

        said = self.happens(self.ask(Submit(ANN, (request,) * number)), expect, fault, fates)
        if said is not None:
            assert [one.id for one in said] == ([holder.id] if holder else list(range(first, first + number)))
            assert all(one.duplicate is (holder is not None) for one in said)

    def next_id(self) -> int:
        ((last,),) = self.base.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'run'")
        return int(last) + 1

    @precondition(lambda self: self.some(*WAITING, "running"))
    @rule(which=SOME, fault=FAULTS, fates=FATES)
    def cancel(self, which: int, fault: Fault, fates: list[str]) -> None:
        run = self.one(which, *WAITING, "running")
        self.happens(self.ask(CancelRun(ANN, run.id)), lambda: self.model.cancel(run.id), fault, fates)

    @precondition(lambda self: self.some("failed", "cancelled"))
    @rule(which=SOME, fault=FAULTS, fates=FATES)
    def retry(self, which: int, fault: Fault, fates: list[str]) -> None:
        run = self.one(which, "failed", "cancelled")
        self.happens(self.ask(RetryRun(ANN, run.id)), lambda: self.model.retry(run.id), fault, fates)

    @precondition(lambda self: self.dead())
    @rule(which=SOME, drops=st.booleans(), payload=st.sampled_from([None, {"edited": True}]), fault=FAULTS, fates=FATES)
    def act_on_a_dead_letter(self, which: int, drops: bool, payload: Any, fault: Fault, fates: list[str]) -> None:
        run = self.dead()[which % len(self.dead())]
        only = DeadFilter(runs=(run.id,))
        again = RetryDead(ANN, only, payload, replaces_payload=payload is not None)

        def expect() -> None:
            if drops:
                self.model.drop(run.id)
            else:
                run.payload = payload or run.payload
                self.model.retry(run.id)

        self.happens(self.ask(DropDead(ANN, only) if drops else again), expect, fault, fates)

    @rule(what=st.sampled_from([("job", "alpha"), ("job", "gamma"), ("queue", "default"), ("queue", "*")]))
    def pause(self, what: tuple[str, str]) -> None:
        if what[0] == "queue" or what[1] in self.stage.engine.rules.in_force:
            self.happens(self.ask(Pause(ANN, *what)), lambda: self.model.paused.add(what))  # type: ignore[arg-type]

    @precondition(lambda self: self.model.paused)
    @rule(which=SOME)
    def resume(self, which: int) -> None:
        what = sorted(self.model.paused)[which % len(self.model.paused)]
        if what[0] == "queue" or what[1] in self.stage.engine.rules.in_force:
            self.happens(self.ask(Resume(ANN, *what)), lambda: self.model.paused.discard(what))  # type: ignore[arg-type]

    # What workers do

    @precondition(lambda self: self.stage.workers.at_work)
    @rule(which=SOME, ending=USUAL, fault=FAULTS, fates=FATES)
    def finish(self, which: int, ending: Ending, fault: Fault, fates: list[str]) -> None:
        self.end(which, ending, fault, fates)

    @precondition(lambda self: self.stage.workers.at_work)
    @rule(which=SOME, ending=UNUSUAL, fault=FAULTS, fates=FATES)
    def finish_oddly(self, which: int, ending: Ending, fault: Fault, fates: list[str]) -> None:
        self.end(which, ending, fault, fates)

    def end(self, which: int, ending: Ending, fault: Fault, fates: list[str]) -> None:
        at_work = sorted(self.stage.workers.at_work, key=str)
        key, now = at_work[which % len(at_work)], self.model.now
        ended = Ending(ending.outcome, now, now, ending.exit_code, directive=ending.directive, spent=ending.spent)

        def report() -> None:
            self.stage.workers.at_work.pop(key)
            self.stage.engine.inbox.report(Finished(key, ended))
            self.stage.tick()
            if fault.startswith("dies"):
                self.told = [Finished(key, ended)]  # nobody acknowledged it

        self.happens(report, lambda: self.model.finish(key.run, ended), fault, fates)

    @precondition(lambda self: self.given - set(self.stage.workers.at_work))
    @rule(which=SOME)
    def tell_late(self, which: int) -> None:
        """I14: an attempt that is over, or was taken from its worker, reports: nothing changes, and it is told so."""
        stale = sorted(self.given - set(self.stage.workers.at_work), key=str)
        key, before = stale[which % len(stale)], self.everything()
        self.stage.engine.inbox.report(Finished(key, Ending(Outcome.SUCCEEDED, self.model.now, self.model.now)))
        self.stage.tick()
        assert self.everything() == before
        assert key in self.stage.workers.acknowledged

    # What operators and the host do

    def define(self, definitions: list[Job]) -> None:
        self.model.jobs.update({one.name: one for one in definitions} | {"clockwork": every_minute("clockwork")})
        self.happens(lambda: self.stage.adopt(*definitions, every_minute("clockwork")), lambda: None)

    @rule(name=st.sampled_from(NAMES), more=DEFINITIONS, removed=st.sampled_from([None, None, *NAMES]))
    def edit(self, name: str, more: dict[str, Any], removed: str | None) -> None:
        kept = {one: self.model.jobs[one] for one in NAMES if one in self.stage.engine.rules.in_force}
        kept[name] = defined(name, **more)
        kept.pop(removed or "", None)
        self.define(list(kept.values()))

    @rule(span=st.sampled_from([1, 10, 30, 100, 700, 90_000]))
    def wait(self, span: int) -> None:
        self.pass_by(span)

    def pass_by(self, span: int) -> None:
        passed = timedelta(seconds=span)

        def expect() -> None:
            self.model.now += passed

        self.happens(lambda: self.stage.pass_by(passed), expect)

    @rule(seconds=st.sampled_from([-20_000, -600, -30, 30, 600, 20_000]), fault=st.sampled_from(["", "disk full"]))
    def step_clock(self, seconds: int, fault: Fault) -> None:
        span, self.stepped = timedelta(seconds=seconds), True

        def step() -> None:
            self.stage.clock.step(span)
            self.stage.tick()

        self.happens(step, lambda: self.model.step_clock(span), fault)

    @rule(fates=FATES)
    def die(self, fates: list[str]) -> None:
        self.go_on(fates)

    @rule(hours=st.integers(0, 2), keep_last=st.integers(0, 1))
    def prune(self, hours: int, keep_last: int) -> None:
        """After a while everything goes that may: what the model has as open, awaited or young stays."""
        self.pass_by(3600 * hours)
        policy = Retention(succeeded=HOURS, failed=HOURS, keep_last=keep_last)
        outputs = OutputFiles(str(self.directory / "output"))
        pruner = Pruner(self.stage.writer, outputs, policy, self.stage.clock.now, lambda _: False)
        for _ in pruner.steps(Pruned()):
            pass
        there = {run for (run,) in self.base.execute("SELECT id FROM run")}
        for run in set(self.model.runs) - there:
            ended_at = self.model.runs[run].ended_at
            assert ended_at is not None and ended_at + HOURS <= self.model.now
            self.model.forget(run)
        for run, blamed in self.base.execute(
            "SELECT id, EXISTS (SELECT 1 FROM edge WHERE child = run.id AND decision = 'cancels') FROM run"
        ):
            self.model.runs[run].is_cancelled_by_parent &= bool(blamed)

    # What is there

    def some(self, *states: str) -> list[Run]:
        return [run for run in self.model.runs.values() if run.state in states]

    def one(self, which: int, *states: str) -> Run:
        found = self.some(*states)
        return found[which % len(found)]

    def dead(self) -> list[Run]:
        return [run for run in self.model.runs.values() if None in run.letters]

    def look(self) -> None:
        """Hold the file against the model: the runs that were reserved first, then everything."""
        self.learn_of_fired_runs()
        self.model.settle()
        rows = self.rows()
        begun = [run for run, row in rows.items() if row[0] == "running" and self.model.runs[run].state == "queued"]
        self.model.start(begun)
        assert rows == {run.id: _row(run) for run in self.model.runs.values()}

    def rows(self) -> dict[int, tuple[Any, ...]]:
        sql = """SELECT id, state, attempt, given_back, max_attempts, run_at, expires_at, cancelling, payload,
                 (SELECT json_group_array(action ORDER BY id) FROM dead_letter WHERE dead_letter.run = run.id),
                 (SELECT json_group_object(parent, decision) FROM edge WHERE child = run.id)
                 FROM run LEFT JOIN run_data ON run_data.run = run.id ORDER BY id"""
        return {row[0]: _read(*row[1:]) for row in self.base.execute(sql)}

    def learn_of_fired_runs(self) -> None:
        """Which slots are due is another machine's to say (tests/core/test_schedule_machine.py)."""
        sql = "SELECT id, run_at, created_at, max_attempts FROM run WHERE slot IS NOT NULL"
        for run, run_at, created_at, most in self.base.execute(sql):
            if run not in self.model.runs:
                at = from_micros(run_at)
                made = Run(run, self.model.jobs["clockwork"], "default", 0, at, from_micros(created_at), most)
                made.is_fired = True
                self.model.accept(made)

    @invariant()
    def nothing_unforeseen(self) -> None:
        assert not self.failures, self.failures

    @invariant()
    def every_invariant_holds(self) -> None:
        # A correction by hours lets slots be due once more, of which the history may have forgotten the first time.
        found = invariants.broken(self.base, but=frozenset({"I26", "I15"} if self.stepped else ()))
        assert not found, found

    @invariant()
    def orders_are_given_once_and_seats_are_used(self) -> None:
        workers = self.stage.workers
        new = set(workers.given) - self.given
        self.given |= new
        for order in workers.orders:
            if order.key in new and order.key.run in self.model.runs:
                assert json.loads(order.payload) == self.model.runs[order.key.run].payload, "I1"
        running = {AttemptKey(run.id, run.attempt) for run in self.some("running")}
        assert set(workers.at_work) == running, "I11"
        assert len(running) >= SEATS or not [run for run in self.some("queued") if self.model.may_start(run)], "idle"
        assert all(run.state in FINAL for run in self.dead())

    def teardown(self) -> None:
        if hasattr(self, "base"):
            assert invariants.is_whole(self.base), "I24"
            self.base.close()
            self.stage.close()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()
            shutil.rmtree(self.directory)


def _read(
    state: str,
    attempt: int,
    given_back: int,
    most: int,
    run_at: int,
    expires_at: int | None,
    cancelling: int,
    payload: str | None,
    letters: str,
    edges: str,
) -> tuple[Any, ...]:
    told = {int(parent): {"cancels": "broken", "fails": "broken"}.get(x, x) for parent, x in json.loads(edges).items()}
    ends: datetime | None = None if expires_at is None else from_micros(expires_at)
    data = None if payload is None else json.loads(payload)
    at = from_micros(run_at) if state in WAITING else None
    is_bound = ends if state in WAITING else None
    return (state, attempt, given_back, most, at, is_bound, bool(cancelling), data, json.loads(letters), told)


def _row(run: Run) -> tuple[Any, ...]:
    edges = {parent: wait.decision for parent, wait in run.waits.items()}
    at = run.run_at if run.state in WAITING else None
    ends = run.expires_at if run.state in WAITING else None
    spent = (run.state, run.attempt, run.given_back, run.most, at, ends, run.cancelling)
    return (*spent, run.payload, run.letters, edges)


def play(examples: int, steps: int, *, seeded: bool = True, shrinks: bool = True) -> None:
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=seeded,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
        ),
    )


def test_the_queue_is_as_its_model_whatever_happens() -> None:
    play(20, 30)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_queue_is_as_its_model_through_many_lives() -> None:
    """`make machine` plays more of them, each time others."""
    examples, steps = (int(n) for n in os.environ.get("JOBD_MACHINE", "150x60").split("x"))
    play(examples, steps, seeded="JOBD_MACHINE" not in os.environ)


if __name__ == "__main__":  # for tests/planted.py
    play(120, 40, shrinks=False)

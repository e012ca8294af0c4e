"""The engine on a real store, with a clock that tests move and workers that only remember what they were told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobd.core.events import Event
from jobd.core.intents import Actor, CancelRun, Intent, RetryRun, Submit
from jobd.core.model import AttemptKey, Command, Ending, Finished, Job, ProcessIdentity, RunRequest, Schedule
from jobd.core.records import RunRecord
from jobd.core.retry import default_max_attempts
from jobd.core.roles import Role
from jobd.core.states import Outcome, RunState, Trigger
from jobd.definitions.catalog import Catalog, Defined
from jobd.store import jobs
from jobd.store.history import History
from jobd.store.open import open_store
from jobd.supervisor import catalogs
from jobd.supervisor.catalogs import AdoptCatalog, Change, Host
from jobd.supervisor.clock import Clock
from jobd.supervisor.engine import Engine
from jobd.supervisor.inbox import Question
from jobd.supervisor.reserve import Reservation
from jobd.supervisor.tick import Rules
from jobd.work.orders import Order
from jobd.work.pool import Seat

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ANN = Actor(1000, 1000, 1, "ann", role=Role.SUBMITTER)


def job(name: str = "work", **more: Any) -> Job:
    return Job(name, Command(("/bin/true",)), **more)


def every_minute(name: str = "minutely", expression: str = "* * * * *", **more: Any) -> Job:
    return job(name, schedule=Schedule((expression,), "UTC", **more))


class SetClock(Clock):
    """Stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at, self.seconds, self.slept = at, 1000.0, 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def boottime(self) -> float:
        return self.seconds + self.slept

    def pass_by(self, span: timedelta) -> None:
        self.at += span
        self.seconds += span.total_seconds()

    def step(self, span: timedelta) -> None:
        """Set the wall clock, as NTP or an operator does."""
        self.at += span

    def sleep(self, span: timedelta) -> None:
        """The host sleeps: time goes by, and the monotonic clock stands still."""
        self.at += span
        self.slept += span.total_seconds()


class Workers:
    """So many seats. An order may only come for an attempt that the store already says is running, and only once."""

    def __init__(self, count: int, history: History) -> None:
        self.count = count
        self._history = history
        self.at_work: dict[AttemptKey, int] = {}
        self.given: list[AttemptKey] = []
        self.orders: list[Order] = []
        self.acknowledged: list[AttemptKey] = []
        self.stopped: list[tuple[AttemptKey, Outcome]] = []
        self.wanted = 0

    def seats(self) -> list[Seat]:
        busy = set(self.at_work.values())
        return [Seat(n, ProcessIdentity("boot", n, n)) for n in range(1, self.count + 1) if n not in busy]

    def places(self, depth: int) -> list[Seat]:
        return []

    def take_back(self, after_seconds: float) -> int:
        return 0

    def room(self) -> int:
        return 64

    def want(self, count: int) -> None:
        self.wanted = count

    def give(self, orders: Iterable[tuple[int, Order]]) -> None:
        for number, order in orders:
            found = self._history.run(order.key.run)
            assert found is not None
            assert (found.state, found.attempts) == (RunState.RUNNING, order.key.attempt), "before the commit"
            assert order.key not in self.given, "the same attempt twice"
            assert number not in self.at_work.values(), "two orders on one seat"
            self.given.append(order.key)
            self.orders.append(order)
            self.at_work[order.key] = number

    def acknowledge(self, keys: Iterable[AttemptKey]) -> None:
        self.acknowledged += keys

    def stop(self, key: AttemptKey, outcome: Outcome) -> bool:
        self.stopped.append((key, outcome))
        return key in self.at_work


@dataclass
class Stage:
    """An engine at work; `again` ends it without ceremony and starts another on the same file."""

    directory: Path
    clock: SetClock
    loop: asyncio.AbstractEventLoop
    seats: int
    limits: Mapping[str, int | None]
    catalog: Catalog = Catalog()  # noqa: RUF009 - frozen
    change: Change | None = None
    """What the last restart made of the catalog."""
    host: Host = Host("UTC", "first boot")  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.writer, self.history = open_store(str(self.directory / "jobd.db"))
        self.workers = Workers(self.seats, self.history)
        self.events: list[Event] = []
        rules = Rules(Reservation(self.limits), self.host, 1000)

        async def made() -> Engine:
            return Engine(self.writer, rules, self.workers, self.events.append, self.clock)

        self.engine = self.loop.run_until_complete(made())

    def close(self) -> None:
        self.engine.close()
        self.history.close()
        self.writer.close()

    def again(self) -> None:
        """A new supervisor finds the file as the last commit left it, and its definitions as they are."""
        self.close()
        self.open()
        self.go_on()

    def go_on(self) -> None:
        """Put the definitions in force, and tick."""
        with self.writer.transaction(self.clock.now()) as tx:
            change = self.change = catalogs.adopt(tx, self.catalog, {}, self.host, stored=jobs.in_force(tx))
        self.engine.rules.put_in_force(change.in_force)
        for name, at in change.next_slots:
            self.engine.agenda.set(name, at)
        self.engine.judge_all()
        self.tick()

    # What happens

    def tick(self) -> None:
        self.engine.wake()
        self.loop.run_until_complete(self._settle())

    async def _settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    def pass_by(self, span: timedelta) -> None:
        """Time goes by, and the engine wakes at its end."""
        self.clock.pass_by(span)
        self.tick()

    def ask(self, intent: Intent) -> asyncio.Task[Any]:
        """Ask, and tick once; the answer is there where a commit was."""
        task = self.loop.create_task(self.engine.ask(intent))
        self.loop.run_until_complete(self._settle())
        return task

    def ask_together(self, intents: Sequence[Intent]) -> list[Any]:
        """Ask for several things in one tick; the answers, errors among them."""

        async def asked() -> list[Any]:
            return await asyncio.gather(*map(self.engine.ask, intents), return_exceptions=True)

        return self.loop.run_until_complete(asked())

    def adopt(self, *definitions: Job) -> Change:
        """Put these jobs in force and no others."""
        self.catalog = Catalog({one.name: Defined(one, "jobs.yaml", 1, 1, "{}", "") for one in definitions})
        return self.adopt_as_it_is()

    def adopt_as_it_is(self, versions: Mapping[str, str] | None = None) -> Change:
        """Adopt the same catalog once more; with `versions` as after a change of the zone database."""
        future: asyncio.Future[Change] = self.loop.create_future()
        self.engine.inbox.ask(Question(AdoptCatalog(self.catalog, versions), future))
        self.loop.run_until_complete(self._settle())
        return future.result()

    def request(self, definition: Job, **more: Any) -> RunRequest:
        known = self.engine.rules.in_force[definition.name].job
        most = default_max_attempts(known, Trigger.SUBMIT)
        values = {"queue": known.queue, "max_attempts": most, "owner": "ann", **more}
        return RunRequest(known, Trigger.SUBMIT, **values)

    def submit(self, definition: Job, count: int = 1, **more: Any) -> list[int]:
        task = self.ask(Submit(ANN, (self.request(definition, **more),) * count))
        return [accepted.id for accepted in task.result()]

    def cancel(self, run: int) -> RunState:
        return RunState(self.ask(CancelRun(ANN, run)).result())

    def retry(self, run: int) -> RunState:
        return RunState(self.ask(RetryRun(ANN, run)).result())

    def report(self, key: AttemptKey, outcome: Outcome = Outcome.SUCCEEDED, **more: Any) -> None:
        """A worker tells how an attempt ended, and has room again."""
        now = self.clock.now()
        self.workers.at_work.pop(key, None)
        self.engine.inbox.report(Finished(key, replace(Ending(outcome, now, now), **more)))
        self.loop.run_until_complete(self._settle())

    # What is there

    def run(self, run: int) -> RunRecord:
        found = self.history.run(run)
        assert found is not None
        return found

    def slots(self, name: str) -> list[tuple[datetime, str]]:
        found, _ = self.history.slots(name, None, None, 1000, None)
        return [(one.slot, str(one.disposition)) for one in reversed(found)]


MakeStage = Callable[..., Stage]


@contextmanager
def stage(directory: Path, *, seats: int = 2, limits: Mapping[str, int | None] | None = None) -> Iterator[Stage]:
    loop = asyncio.new_event_loop()
    made = Stage(directory, SetClock(NOON), loop, seats, limits or {})
    try:
        yield made
    finally:
        made.close()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

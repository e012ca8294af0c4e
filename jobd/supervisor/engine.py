"""Drives the ticks: gathers what one needs, commits it, carries out what it decided, knows when to wake again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from jobd.core import due, events
from jobd.core.due import Agenda
from jobd.core.errors import Unavailable
from jobd.core.events import Event
from jobd.core.intents import Intent
from jobd.core.model import AttemptKey
from jobd.core.sources import Clock, Reading
from jobd.core.states import Outcome
from jobd.store.connection import StorageFailed, Writer
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.catalogs import AdoptCatalog, Change
from jobd.supervisor.finalize import Unkept
from jobd.supervisor.inbox import Inbox, Question
from jobd.supervisor.tick import Moment, Rules, tick
from jobd.work.orders import Order
from jobd.work.pool import Seat

LONGEST_SLEEP_SECONDS = 60.0
MOST_PLANNED = 100
"""Jobs planned in one tick at most: where more are due at once, whoever asks for something has a turn in between."""
_RETRY_SECONDS = 1.0
_DEPTH = 32
"""Orders at a worker at most, where they are quick."""
_STUCK_SECONDS = 0.1
_STEP = timedelta(seconds=0.5)
"""Less than this is the pace of the clock being trimmed, or a reading that was late."""


class Workers(Protocol):
    """What the engine needs of the pool."""

    def seats(self) -> list[Seat]: ...
    def places(self, depth: int) -> list[Seat]: ...
    def take_back(self, after_seconds: float) -> int: ...
    def room(self) -> int: ...
    def want(self, count: int) -> None: ...
    def give(self, orders: Iterable[tuple[int, Order]]) -> None: ...
    def acknowledge(self, keys: Iterable[AttemptKey]) -> None: ...
    def stop(self, key: AttemptKey, outcome: Outcome) -> bool: ...


@dataclass(slots=True)
class Watchers:
    """Who waits for news of a run."""

    _futures: dict[int, asyncio.Future[None]] = field(default_factory=dict)

    def of(self, run: int) -> asyncio.Future[None]:
        """Done at the next news of the run; shared by everyone who waits for it."""
        future = self._futures.get(run)
        if future is None or future.done():
            future = self._futures[run] = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: self._drop(run, done))
        return future

    def tell(self, runs: Iterable[int]) -> None:
        if self._futures:
            for run in runs:
                future = self._futures.get(run)
                if future is not None and not future.done():
                    future.set_result(None)

    def _drop(self, run: int, future: asyncio.Future[None]) -> None:
        if self._futures.get(run) is future:
            del self._futures[run]


class Engine:
    """Owns the inbox and the agenda; everything durable goes through its ticks."""

    def __init__(
        self, writer: Writer, rules: Rules, workers: Workers, publish: Callable[[Event], None], clock: Clock
    ) -> None:
        self.inbox = Inbox(self.wake)
        self.rules = rules
        self.agenda = Agenda()
        self.lateness = Agenda()
        """When each job of which something is expected is late, if nothing happens until then."""
        self._is_anew = True
        """Other jobs are in force than when a tick last judged lateness."""
        self.finished = Watchers()
        self.changed = Watchers()
        self.draining = False
        self.storage_problem: str | None = None
        self.last_tick_at = clock.monotonic()
        self._writer = writer
        self._workers = workers
        self._publish = publish
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        # The first tick looks at the store, whatever else there is to do: runs may wait there since an earlier life.
        self._next_due: datetime | None = clock.now()
        self._waiting = True
        self._wanted = 0
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._stuck_timer: asyncio.TimerHandle | None = None
        self._stepped = timedelta(0)
        """What the wall clock was set by and no commit has dealt with yet."""
        self.go_on_from(clock.read())
        self._is_corrected = False
        """The clock turned out to be wrong by hours, and not every job has been looked at since."""
        self._looked_at = self._last_reading.boottime
        """When the last tick was that left no step undone and no due job unplanned."""

    # What others call.

    def go_on_from(self, reading: Reading) -> None:
        """Find out at the next tick whether the wall clock was set since this reading of an earlier life."""
        self._last_reading = reading

    async def ask(self, intent: Intent) -> Any:
        """The durable answer to an intent. Raises Unavailable while the store cannot be written."""
        if self.storage_problem is not None:
            raise Unavailable(f"jobd cannot write its store now: {self.storage_problem}")
        future = self._loop.create_future()
        self.inbox.ask(Question(intent, future))
        return await future

    async def adopt(self, catalog: AdoptCatalog) -> Any:
        """The durable change a catalog makes; it waits for a store that cannot be written now."""
        future = self._loop.create_future()
        self.inbox.ask(Question(catalog, future))
        return await future

    def wake(self) -> None:
        """Tick soon: after the sockets that are readable now have been read, so that one commit serves them all."""
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._loop.call_soon, self._tick)

    def room_made(self) -> None:
        """A worker can take an order, or workers can be hired again."""
        if self._waiting:
            self.wake()

    def close(self) -> None:
        """Tick no more."""
        self._woken = True
        for timer in (self._timer, self._stuck_timer):
            if timer is not None:
                timer.cancel()

    # The tick and what surrounds it.

    def _tick(self) -> None:
        self._woken = False
        self.last_tick_at = self._clock.monotonic()
        reading = self._clock.read()
        now, moment = reading.wall, self._moment(reading)
        has_work = self._has_work(now, moment)
        is_settled = not has_work or self._commit(now, moment)
        if is_settled and len(moment.due) < MOST_PLANNED:
            self._looked_at, self._is_corrected = reading.boottime, False
        if not has_work and self._wanted and not self.draining:
            self._workers.want(self._wanted)  # what could not be hired when it was asked for
        self._sleep()

    def _moment(self, reading: Reading) -> Moment:
        self._note_step(reading)
        if self._stepped:
            # A clock that was set moves what is due next: every job is looked at again.
            self.agenda.recall(reading.wall)
            self.lateness.recall(reading.wall)
            self._is_corrected |= abs(self._stepped) > due.CORRECTION
        return Moment(
            due=self.agenda.due(reading.wall, MOST_PLANNED),
            seats=self._workers.seats(),
            places=self._places,
            hiring=self._workers.room() > 0,
            draining=self.draining,
            stepped=self._stepped,
            corrected=self._is_corrected,
            since=reading.wall - timedelta(seconds=reading.boottime - self._looked_at),
            late=self.lateness.due(reading.wall, MOST_PLANNED),
            is_anew=self._is_anew,
        )

    def _note_step(self, reading: Reading) -> None:
        last, self._last_reading = self._last_reading, reading
        stepped = due.step(last.wall, last.boottime, reading.wall, reading.boottime)
        if abs(stepped) >= _STEP:
            self._stepped += stepped
            self._publish(events.ClockStepped(reading.wall, stepped.total_seconds()))

    def _places(self) -> list[Seat]:
        """Places to wait at workers; what is stuck there behind a long attempt is soon asked back."""
        if self._stuck_timer is None:
            self._stuck_timer = self._loop.call_later(_STUCK_SECONDS, self._take_back)
        return self._workers.places(_DEPTH)

    def _take_back(self) -> None:
        self._stuck_timer = None
        if self._workers.take_back(_STUCK_SECONDS):
            self._stuck_timer = self._loop.call_later(_STUCK_SECONDS, self._take_back)

    def _has_work(self, now: datetime, moment: Moment) -> bool:
        promoted = self._next_due is not None and self._next_due <= now
        reservable = self._waiting and moment.seats and not self.draining
        judgeable = (moment.late or moment.is_anew) and not self.draining
        return bool(self.inbox or moment.due or moment.stepped or promoted or reservable or judgeable)

    def _commit(self, now: datetime, moment: Moment) -> bool:
        """One tick's transaction and what it sets off; False where there was none, and all is to be tried again."""
        batch = self.inbox.batch()
        began, changes = time.perf_counter(), self._writer.total_changes()
        try:
            with self._writer.transaction(now) as tx:
                after = tick(tx, self.rules, batch, moment)
        except StorageFailed as error:
            self.rules.specs.forget()
            self._storage_failed(now, str(error))
            self.rules.quarantine.clear()
            return False
        except Unkept as fault:
            self.rules.specs.forget()
            if fault.instead in batch.reports:
                raise  # it was replaced already: the fault is not the job's
            self.inbox.replace(fault.instead)
            self.rules.quarantine.clear()
            return False
        self.inbox.drop(batch)
        self._is_anew &= moment.draining
        self._stepped = timedelta(0)
        self._storage_works(now)
        seconds, changed = time.perf_counter() - began, self._writer.total_changes() - changes
        self._publish(events.StoreCommitted(now, seconds, changed))
        self._carry_out(after)
        self.rules.quarantine.clear()
        return True

    def _carry_out(self, after: Aftermath) -> None:
        """Set off what is durable now; orders first, since somebody's latency hangs on them."""
        self._workers.give(after.orders)
        if after.acknowledged:
            self._workers.acknowledge(after.acknowledged)
        for key, outcome in after.stops:
            self._workers.stop(key, outcome)
        if after.change is not None:
            self.rules.put_in_force(after.change.in_force)
            for name, at in after.change.next_slots:
                self.agenda.set(name, at)
            self._judge_anew(after.change)
        for name, at in after.planned:
            self.agenda.set(name, at)
        for name, at in after.watched:
            self.lateness.set(name, at)
        for question, said in after.answers:
            _answer(question, said)
        self._next_due = after.next_due
        self._wanted = after.wanted
        self._waiting = after.wanted > 0
        if self._waiting and not self.draining:
            self._workers.want(after.wanted)
        for finished in after.failed:
            self.inbox.report(finished)
        self.finished.tell(after.final)
        self.changed.tell(after.changed)
        for event in after.events:
            if isinstance(event, events.AttemptFinished):
                self._note_pace(event)
            self._publish(event)

    def judge_all(self) -> None:
        """Judge the lateness of every job soon: these jobs were put in force before the first tick."""
        for name in self.rules.watched:
            self.lateness.set(name, self._last_reading.wall)

    def _judge_anew(self, change: Change) -> None:
        """Judge jobs soon that are others now, and forget those of which nothing is expected any more."""
        self._is_anew = True
        for name in (*change.added, *change.changed, *change.removed):
            watched = name in self.rules.watched
            self.lateness.set(name, self._last_reading.wall if watched else None)
        self.wake()

    def _note_pace(self, event: events.AttemptFinished) -> None:
        ending = event.ending
        if ending.started_at is not None and ending.finished_at is not None:
            self.rules.reservation.pace.note(event.job, (ending.finished_at - ending.started_at).total_seconds())

    def _sleep(self) -> None:
        """Wake at the next instant something is due, and at least once a minute: one long sleep is never trusted."""
        if self._timer is not None:
            self._timer.cancel()
        instants = [
            at
            for at in (self._next_due, self.agenda.next_at(), None if self.draining else self.lateness.next_at())
            if at is not None
        ]
        wait = LONGEST_SLEEP_SECONDS
        if instants:
            wait = min(wait, max(0.0, (min(instants) - self._believed()).total_seconds()))
        if self.storage_problem is not None:
            wait = max(wait, _RETRY_SECONDS)
            if self.inbox:
                wait = _RETRY_SECONDS
        self._timer = self._loop.call_later(wait, self.wake)

    def _believed(self) -> datetime:
        """The time as this tick knows it: a clock that is set in its midst must not make the sleep a long one."""
        last = self._last_reading
        return last.wall + timedelta(seconds=self._clock.boottime() - last.boottime)

    def _storage_failed(self, now: datetime, detail: str) -> None:
        if self.storage_problem is None:
            self._publish(events.Degraded("storage", now, detail))
        self.storage_problem = detail

    def _storage_works(self, now: datetime) -> None:
        if self.storage_problem is not None:
            self.storage_problem = None
            self._publish(events.Degraded("storage", now))


def _answer(question: Question, said: Any) -> None:
    if question.answer.done():  # its client has gone
        return
    if isinstance(said, Exception):
        question.answer.set_exception(said)
    else:
        question.answer.set_result(said)

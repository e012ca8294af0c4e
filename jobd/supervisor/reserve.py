"""The stage that moves waiting runs to running: queues take turns, limits hold, every attempt gets its worker."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from jobd.core import allot, events, parents, queues
from jobd.core.buckets import Rate
from jobd.core.holds import EVERYTHING
from jobd.core.ledger import Ledger
from jobd.core.model import AttemptKey, Ending, Finished, Job
from jobd.core.pace import Pace
from jobd.core.queues import Limits, QueueSet
from jobd.core.spans import show_size
from jobd.core.states import Outcome
from jobd.core.trace import Trace
from jobd.core.tracing import Traced, Tracer
from jobd.store import edges, holds, limits, reservation
from jobd.store.connection import Transaction
from jobd.store.reservation import Reserved
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.quarantine import Quarantine
from jobd.supervisor.specs import Specs
from jobd.work.orders import Order, order_of
from jobd.work.pool import Seat

_MOST_WANTED = 64
_QUEUES_AT_ONCE = 64
_MOMENT_SECONDS = 0.001
"""For an order, where 0 is no timeout."""

Places = Callable[[], Sequence[Seat]]
"""Looks for places to wait at workers, each behind another order."""


@dataclass(slots=True)
class Reservation:
    """Shares seats among queues; remembers whose turn it was, and asks for workers where seats are missing."""

    limits: Mapping[str, int | None]
    """Runs under way at most, by queue; one that is not declared has no limit."""
    rates: Mapping[str, Rate] = field(default_factory=dict)
    """Rate limits of queues that have one."""
    resources: Mapping[str, int] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    tracer: Tracer | None = None
    """Set where spans are recorded: then attempts are told of their own, else of what their run was submitted with."""
    _last_queue: str | None = None

    def reserve(
        self,
        tx: Transaction,
        seats: Sequence[Seat],
        places: Places,
        specs: Specs,
        after: Aftermath,
        *,
        hiring: bool,
        quarantine: Quarantine,
    ) -> None:
        """Fill the seats with the best waiting runs that may start, and places behind them with quick ones."""
        if not reservation.waiting_queues(tx, "", 1):
            return  # as after most ticks: nothing else needs to be looked at
        ledger = self._ledger(tx)
        # Twice the seats, since what one queue takes can fill lanes of the next.
        waiting = self._waiting(tx, ledger, max(2 * len(seats), _MOST_WANTED))
        rooms = _rooms(waiting, ledger, 2**31)
        taken: list[Reserved] = []
        ordered = allot.turns(rooms, self._last_queue)
        for place, room in enumerate(ordered):
            free = len(seats) - len(taken)
            if free == 0:
                break
            # What an earlier queue took may count against a lane that is shared with it: look again.
            for now in _rooms([lane for lane in waiting if lane.queue == room.queue], ledger, free):
                most = min(now.most, allot.share(free, len(ordered) - place))
                taken += _take(tx, now, ledger, most)
                self._last_queue = now.queue
        filled = list(zip(taken, seats, strict=False))
        if rooms and len(taken) == len(seats):
            slow = {seat.number for run, seat in filled if not self._is_quick(tx, run, specs)}
            filled += self._behind(tx, waiting, ledger, places, slow)
        limits.note_levels(tx, ledger.spent())
        self._start(tx, filled, specs, after, quarantine)
        after.next_token = ledger.next_at()
        if rooms and len(taken) == len(seats):
            after.wanted = self._wanted(tx, _rooms(waiting, ledger, 2**31)) if hiring else 1

    def _ledger(self, tx: Transaction) -> Ledger:
        """What may start as this reservation begins."""
        asked = limits.settings_now(tx)
        ledger = Ledger(
            tx.now,
            Counter(reservation.running(tx)),
            lambda queue: self.limits_of(queue, asked.get(queue)),
            self.resources,
            lambda name: limits.level(tx, name),
            limits.held(tx),
        )
        ledger.terms |= limits.terms(tx.rows, ledger.unknown(lane.number for lane in ledger.running))
        return ledger

    def declared(self, queue: str) -> Limits:
        """The limits of a queue as jobd.yaml has them."""
        return Limits(self.limits.get(queue), self.rates.get(queue))

    def limits_of(self, queue: str, asked: QueueSet | None) -> Limits:
        """The limits in force of a queue."""
        return queues.in_force(self.declared(queue), asked)

    def _waiting(self, tx: Transaction, ledger: Ledger, most: int) -> list[allot.Lane]:
        """The lanes with the best runs that could start: nothing keeps their queue back, and they are not full.

        Queues are looked at from the one after the last served on, and no more of them than can be served: what is
        kept back is passed by, and never stands before others.
        """
        closed = holds.paused_queues(tx)
        if EVERYTHING in closed:
            return []
        full = {lane.number for lane in ledger.running if lane.number > 0 and ledger.is_shut(lane.number)}
        found: list[allot.Lane] = []
        served = 0
        for queue in _around(tx, self._last_queue or ""):
            if queue in closed or ledger.is_full(queue):
                continue
            lanes = _open_lanes(tx, queue, ledger, full, most)
            found += [allot.Lane(queue, number) for number in lanes]
            served += bool(lanes)
            if served == most:
                break
        return found

    def _behind(
        self,
        tx: Transaction,
        waiting: Sequence[allot.Lane],
        ledger: Ledger,
        places: Places,
        slow: Collection[int],
    ) -> list[tuple[Reserved, Seat]]:
        """Quick runs that may wait behind others at a worker that is not at a slow one.

        Only where no other queue or lane waits for its turn: what is first in order stays first. What uses up a
        resource does not take it before it can start.
        """
        if len(waiting) != 1 or ledger.uses_of(waiting[0].number):
            return []
        open_places = [seat for seat in places() if seat.number not in slow]
        rooms = _rooms(waiting, ledger, len(open_places)) if open_places else []
        if not rooms:
            return []
        ((number, most),) = rooms[0].lanes
        first = reservation.head(tx, rooms[0].queue, number, most)
        quick = sum(1 for _ in itertools.takewhile(self.pace.is_quick, first))
        taken = _take(tx, replace(rooms[0], lanes=((number, quick),)), ledger, quick) if quick else []
        return list(zip(taken, open_places, strict=False))

    def _is_quick(self, tx: Transaction, run: Reserved, specs: Specs) -> bool:
        job = specs.get(tx, run.spec)
        return job is not None and self.pace.is_quick(job.name)

    @staticmethod
    def _wanted(tx: Transaction, rooms: Sequence[allot.Room]) -> int:
        """How many runs wait that could start if there were workers for them, counted up to a bound."""
        wanted = 0
        for room in rooms:
            in_room = 0
            for number, free in room.lanes:
                bound = min(free, room.most - in_room, _MOST_WANTED - wanted - in_room)
                if bound <= 0:
                    break
                in_room += reservation.waiting(tx, room.queue, number, bound)
            wanted += in_room
        return wanted

    def _trace_of(self, run: Reserved) -> Trace | None:
        if self.tracer is None:
            return run.trace
        traced = Traced(run.key.run, run.created_at, run.renewed_at, run.trace)
        return self.tracer.of_attempt(traced, run.key.attempt).trace

    def _start(
        self,
        tx: Transaction,
        pairs: Sequence[tuple[Reserved, Seat]],
        specs: Specs,
        after: Aftermath,
        quarantine: Quarantine,
    ) -> None:
        reservation.open_attempts(tx, [(run.key, seat.worker) for run, seat in pairs])
        for run, seat in pairs:
            job = specs.get(tx, run.spec)
            if job is None or run.is_poison:
                after.failed.append(unreadable(run.key, "payload" if job else "definition"))
                continue
            if why := quarantine.starts(job.name, run.spec):
                after.failed.append(deadly(run.key, why))
                continue
            handed = parents.to_text(edges.parents(tx, run.key.run)) if run.parent is not None else ""
            if len(handed) > parents.MOST_BYTES:
                after.failed.append(overloaded(run.key, len(handed)))
                continue
            after.orders.append((seat.number, _order(run, job, handed, _time_left(tx, run, job), self._trace_of(run))))
            after.changed.append(run.key.run)
            waited = (tx.now - max(run.run_at, run.created_at)).total_seconds()
            after.events.append(events.AttemptStarted(run.key, job.name, run.queue, tx.now, max(0.0, waited)))


def _rooms(waiting: Sequence[allot.Lane], ledger: Ledger, seats: int) -> list[allot.Room]:
    return allot.room(waiting, ledger.running, ledger.queue_limit, ledger.lane_limit, seats)


def _open_lanes(tx: Transaction, queue: str, ledger: Ledger, full: set[int], most: int) -> list[int]:
    """The best lanes of a queue of which something may start; `full` learns those of which nothing may."""
    while True:
        lanes = reservation.open_lanes(tx, queue, full, most)
        ledger.terms |= limits.terms(tx.rows, ledger.unknown(lanes))
        shut = {number for number in lanes if number > 0 and ledger.is_shut(number)}
        full |= shut
        if not shut or len(lanes) < most:
            return [number for number in lanes if number not in shut]
        most *= 2  # what is shut stood before what is not: look further


def _take(tx: Transaction, room: allot.Room, ledger: Ledger, most: int) -> list[Reserved]:
    """Reserve the best runs of a queue, and count them."""
    if not any(ledger.shares(number) for number, _ in room.lanes):
        got = reservation.reserve(tx, room.queue, room.lanes, most)
        for run in got:
            ledger.take(allot.Lane(run.queue, run.lane))
        return got
    chosen = ledger.pick(room.queue, reservation.best(tx, room.queue, room.lanes, most), most)
    got = reservation.reserve_these(tx, room.queue, chosen)
    limits.note_takes(tx, [(run.key.run, uses) for run in got if (uses := ledger.uses_of(run.lane))])
    return got


def _around(tx: Transaction, last: str) -> Iterator[str]:
    """The queues in which runs wait, each once, from the one after `last` on and around."""
    for start, end in ((last, None), ("", last)):
        after = start
        while queues := reservation.waiting_queues(tx, after, _QUEUES_AT_ONCE):
            for queue in queues:
                if end is not None and queue > end:
                    return
                yield queue
            after = queues[-1]


def _time_left(tx: Transaction, run: Reserved, job: Job) -> float:
    """The seconds that all attempts together still have; 0 where that is no matter."""
    if not job.total_timeout_seconds:
        return 0.0
    deadline = reservation.set_deadline(tx, run.key.run, timedelta(seconds=job.total_timeout_seconds))
    return max((deadline - tx.now).total_seconds(), _MOMENT_SECONDS)


def _order(run: Reserved, job: Job, handed: str, seconds_left: float, trace: Trace | None) -> Order:
    return order_of(
        job,
        run.key,
        trigger=run.trigger,
        payload=run.payload or "null",
        slot=run.slot,
        queue=run.queue,
        max_attempts=run.max_attempts,
        timeout_seconds=run.timeout_seconds,
        parents=handed,
        trace=trace,
        total_seconds=seconds_left,
    )


def unreadable(key: AttemptKey, what: str) -> Finished:
    """The report of an attempt whose definition or payload cannot be read: it never starts, and a retry cannot help."""
    error = f"undecodable: its {what} cannot be read by this version of jobd"
    return Finished(key, Ending(Outcome.FAILED, error=error, retryable=False))


def deadly(key: AttemptKey, why: str) -> Finished:
    """The report of an attempt whose start ended jobd before, and would again."""
    return Finished(key, Ending(Outcome.FAILED, error=f"its definition {why}", retryable=False))


def overloaded(key: AttemptKey, size: int) -> Finished:
    """The report of an attempt whose parents' results are too much for one order."""
    most = show_size(parents.MOST_BYTES)
    error = f"the results of the runs before it are {show_size(size)}, more than the {most} that can be handed on"
    return Finished(key, Ending(Outcome.FAILED, error=error, retryable=False))

"""The supervisor's side of the workers: hands out orders, passes on reports, and settles what dead workers leave open.

On asyncio's readers and timers, without threads.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from jobd.core.model import AttemptKey, Ending, Finished, Json, ProcessIdentity
from jobd.core.states import Outcome
from jobd.work import cgroup, identity, judgement, left_behind, reach, scratch, tree
from jobd.work.adoption import Adoption
from jobd.work.channel import Channel
from jobd.work.deadlines import Deadlines
from jobd.work.hiring import ForkServer
from jobd.work.member import Member, Task
from jobd.work.orders import NO_ROOM, Order
from jobd.work.reach import Holder
from jobd.work.recruiting import Ears, Recruiter
from jobd.work.wire import Acknowledged, Hello, Message, Progress, Report, Retire, Started, Stop, bundles

__all__ = ["ForkServer", "Pool", "PoolSettings", "Seat", "WorkerState"]

_GONE_SECONDS = 15.0
_FLOOR = 1
_LONGEST_PAUSE_SECONDS = 60.0
_BRISK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class PoolSettings:
    runtime_dir: str
    output_dir: str
    max_workers: int = 16
    idle_timeout_seconds: float = 60.0
    max_attempts_per_worker: int = 1000


def _spelt(settings: PoolSettings) -> PoolSettings:
    """With the runtime directory as the forkserver spells it: processes of an attempt are known by it."""
    return replace(settings, runtime_dir=os.path.abspath(settings.runtime_dir))


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker that can take an order at once: reserve for it, write down who it is, then give it the order."""

    number: int
    worker: ProcessIdentity


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One worker, for status."""

    number: int
    pid: int
    state: str
    """`idle`, `busy`, `adopted` or `starting`."""
    run: int | None = None
    attempt: int | None = None
    since: datetime | None = None


class Pool:
    """All workers. Callbacks come from the event loop, never from inside a call of the supervisor's."""

    def __init__(
        self,
        forkserver: ForkServer,
        settings: PoolSettings,
        on_report: Callable[[Finished], None],
        on_started: Callable[[AttemptKey, ProcessIdentity, datetime], None],
        on_degraded: Callable[[str, str], None],
        on_room: Callable[[], None],
        on_progress: Callable[[AttemptKey, float | None, str], None] | None = None,
    ) -> None:
        """`on_started` gives the child, or the worker where the attempt runs inside it. An attempt that never started,
        or was over within a few milliseconds, has its report only.

        `on_degraded` takes a machine word and a sentence; an empty sentence says that it is well again.
        """
        self._forkserver = forkserver
        self._settings = _spelt(settings)
        self._on_report, self._on_started = on_report, on_started
        self._on_degraded, self._on_room, self._on_progress = on_degraded, on_room, on_progress
        self._members: dict[int, Member] = {}
        self._guests: set[Member] = set()
        """Workers of an earlier supervisor that found their way here."""
        self._holders: dict[AttemptKey, Member] = {}
        self._idle: list[Member] = []
        self._unsent: set[Member] = set()
        self._unacknowledged: dict[AttemptKey, Member] = {}
        self._pause_seconds = self._no_orders_before = 0.0
        self._is_closing = self._is_closed = False
        self._all_gone = asyncio.Event()

    def open(self) -> None:
        """Attach to the running loop, and listen for workers of an earlier supervisor."""
        self._loop = asyncio.get_running_loop()
        scratch.prepare(self._settings.runtime_dir)
        os.makedirs(self._settings.output_dir, 0o700, exist_ok=True)
        ears = Ears(
            self._introduce, self._dissolve, self._part, self._bury_silent, self._on_degraded, self._tell_of_room
        )
        self._recruiter = Recruiter(self._forkserver, self._loop, ears)
        self._deadlines = Deadlines(self._loop, lambda: (*self._members.values(), *self._guests))
        self._adoption = Adoption(self._settings.runtime_dir, self._loop, self._on_report, self._greet)
        self._idle_timer = self._loop.call_later(self._settings.idle_timeout_seconds, self._send_idle_home)

    @property
    def containment(self) -> str:
        """What reaches the processes of an attempt: `cgroup`, or `process group and subreaper`."""
        return self._recruiter.containment

    # What the supervisor asks

    def adjust(self, settings: PoolSettings, told: Mapping[str, Json]) -> None:
        """Go by other limits, and tell executors something else: who does not know it takes nothing more on.

        The directories are those of before.
        """
        self._settings = _spelt(settings)
        if told == self._forkserver.settings:
            return
        self._forkserver.settings = told
        idle, self._idle = self._idle, []
        for member in self._members.values():
            member.is_retiring = True
        for member in idle:
            self._retire(member)

    def room(self) -> int:
        """How many orders could start at once: idle workers, and workers that may be hired."""
        if self._loop.time() < self._no_orders_before:
            return 0
        return sum(member.takes_orders for member in self._idle) + self._may_hire()

    def seats(self) -> list[Seat]:
        """The workers that wait for an order, the one that was busy last first: its memory is warm."""
        if self._loop.time() < self._no_orders_before:
            return []
        idle = [member for member in reversed(self._idle) if member.takes_orders]
        return [Seat(member.number, member.identity) for member in idle if member.identity is not None]

    def places(self, depth: int) -> list[Seat]:
        """Places to wait at workers, each behind another order, until a worker has `depth` of them; nearest first.

        Meant for short orders (see `take_back`). A worker that is at an attempt that takes its time has none.
        """
        began = self._loop.time() - _BRISK_SECONDS
        staff = [
            (max(len(member.tasks), 1), Seat(member.number, member.identity))
            for member in self._members.values()
            if member.takes_orders and member.identity is not None and (member.since is None or member.began > began)
        ]
        # A worker that still has half of them is left alone: many at once cost less than one at a time.
        low = [(taken, seat) for taken, seat in staff if taken <= depth // 2]
        return [seat for place in range(1, depth) for taken, seat in low if taken <= place]

    def want(self, count: int) -> None:
        """Hire until `count` workers are idle or on their way, as far as settings allow; `on_room` tells of each."""
        coming = sum(member.state == "starting" for member in self._members.values())
        for _ in range(min(count - coming - len(self._idle), self._may_hire())):
            self._hire()

    def give(self, orders: Iterable[tuple[int, Order]]) -> None:
        """Hand orders to the workers that were named by number; one that has gone since gives its order back."""
        given: dict[Member, list[Order]] = {}
        for number, order in orders:
            member = self._members.get(number)
            # One that is to retire soon still executes what it is given by then.
            if member is None or member.is_adopted or member.channel.closed:
                self._loop.call_soon(self._on_report, judgement.given_back(order.key, "its worker has ended"))
                continue
            if member in self._idle:
                self._idle.remove(member)
            self._assign(member, order)
            given.setdefault(member, []).append(order)
        for member, some in given.items():
            self._send(member, *bundles(some))

    def take_back(self, after_seconds: float) -> int:
        """Ask for the orders that wait behind an attempt under way for longer than this: they come given back.

        Returns how many orders still wait behind another, those that were asked for not counted.
        """
        now, left = self._loop.time(), 0
        for member in self._members.values():
            waiting = [task for task in list(member.tasks.values())[1:] if not (task.stop or task.is_asked_back)]
            if member.running and member.since and now - member.began > after_seconds:
                self._ask_back(member, waiting)
            else:
                left += len(waiting)
        return left

    def _ask_back(self, member: Member, tasks: Sequence[Task]) -> None:
        """What the worker has come to begin meanwhile stays with it: nothing is executed twice for being in a hurry."""
        for task in tasks:
            task.is_asked_back = True
            self._send(member, Stop(task.key, Outcome.INTERRUPTED, unless_begun=True))
        if tasks:
            self._flush(member)
            member.signal(signal.SIGUSR1)

    def hand_out(self, orders: Iterable[Order]) -> None:
        """Give each order to a worker: an idle one, a new one, or else the one with the fewest orders."""
        given: dict[Member, list[Order]] = {}
        for order in orders:
            member = self._member_for_next()
            if member is None:
                self._loop.call_soon(self._on_report, judgement.given_back(order.key, "no worker could be hired"))
                continue
            self._assign(member, order)
            given.setdefault(member, []).append(order)
        for member, some in given.items():
            self._send(member, *bundles(some))

    def acknowledge(self, keys: Iterable[AttemptKey]) -> None:
        """These reports are durable: their workers may forget them, and files left of them are removed."""
        by_member: dict[Member, list[AttemptKey]] = {}
        for key in keys:
            member = self._unacknowledged.pop(key, None)
            if member is None:
                left_behind.forget(self._settings.runtime_dir, key)
            elif not member.channel.closed:
                by_member.setdefault(member, []).append(key)
        for member, some in by_member.items():
            self._send(member, Acknowledged(tuple(some)))

    def stop(self, key: AttemptKey, outcome: Outcome) -> bool:
        """End an attempt as cancelled, interrupted or timed out: TERM, then KILL. False if nobody here has it.

        The report comes as for any other end. An attempt that ends by itself first keeps its own outcome.
        """
        member = self._holders.get(key)
        if member is None:
            return self._adoption.stop(key, outcome)
        task = member.tasks[key]
        task.stop = outcome
        self._send(member, Stop(key, outcome))
        self._flush(member)
        if key == member.running:
            self._deadlines.note_stop(task)
        if member.running is not None:
            # A Python job in the worker hears of it by signal; which attempt is meant stands in the message alone.
            member.signal(signal.SIGUSR1)
        return True

    def signal(self, key: AttemptKey, number: int) -> list[int] | None:
        """Signal every process of an attempt under way; their pids, None where it has no process of its own now."""
        member = self._holders.get(key)
        if member is None:
            holder = self._adoption.holder_of(key)
        elif member.running == key and member.identity is not None:
            holder = Holder(member.identity, member.tasks[key].child)
        else:
            holder = None
        return None if holder is None else reach.signal_tree(self._settings.runtime_dir, key, holder, number)

    def worker_of(self, key: AttemptKey) -> ProcessIdentity | None:
        """The worker that has this attempt; known once the attempt has started."""
        member = self._holders.get(key)
        return member.identity if member else self._adoption.worker_of(key)

    def adopt(
        self, key: AttemptKey, worker: ProcessIdentity, child: ProcessIdentity | None, deadline: datetime | None
    ) -> None:
        """Watch over an attempt that an earlier supervisor handed out. Its report comes when the worker gives it, by
        reconnecting or as a file; a worker that goes without one is reported lost, once no process of it lives.

        `deadline` is when it should be over, its `kill_after` included.
        """
        self._adoption.watch(key, worker, child, deadline)

    def left_reports(self) -> list[Finished]:
        """What workers of a dead supervisor left behind; each stays until it is acknowledged or forgotten."""
        return left_behind.all_reports(self._settings.runtime_dir)

    def forget_report(self, key: AttemptKey) -> None:
        left_behind.forget(self._settings.runtime_dir, key)

    def is_alive(self, process: ProcessIdentity) -> bool:
        return identity.is_alive(process)

    def sweep(self, key: AttemptKey, child: ProcessIdentity | None) -> list[int]:
        """Kill whatever remains of a lost attempt and wait, 5 s at the most; the pids of what would not die."""
        left = tree.end_attempt(self._settings.runtime_dir, key, child)
        scratch.remove(self._settings.runtime_dir, key)
        return left

    def sweep_others(self, keep: Iterable[AttemptKey]) -> None:
        """Remove what is left on disk of every attempt but these, while no other can be under way."""
        scratch.remove_others(self._settings.runtime_dir, keep)

    def busy(self) -> int:
        """How many attempts are under way here, adopted ones included, or reported and not acknowledged yet."""
        return len(self._holders) + len(self._unacknowledged) + self._adoption.count()

    def views(self) -> list[WorkerState]:
        """Every worker, for status."""
        return [_view(member) for member in (*self._members.values(), *self._guests)]

    async def close(self, grace_seconds: float) -> None:
        """Tell the workers to end and wait for them; what is busy for longer than that is left to run on its own."""
        self._is_closing = True
        for member in list(self._members.values()):
            self._retire(member)
        if self._members:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), grace_seconds)
        if not self._is_closed:
            self._is_closed = True
            self._let_go()

    # Who gets the next order

    def _may_hire(self) -> int:
        if self._is_closing or not self._recruiter.takes_requests:
            return 0
        return max(self._settings.max_workers - len(self._members) - self._adopted(), 0)

    def _adopted(self) -> int:
        """How many workers of an earlier supervisor are still at work: they are workers of this host as any other."""
        return self._adoption.count() + sum(member.is_adopted for member in self._holders.values())

    def _member_for_next(self) -> Member | None:
        while self._idle:
            member = self._idle.pop()
            if member.takes_orders:
                return member
        if self._may_hire() and (hired := self._hire()):
            return hired
        open_ones = [member for member in self._members.values() if member.takes_orders]
        return min(open_ones, key=lambda member: len(member.tasks), default=None)

    def _hire(self) -> Member | None:
        hired = self._recruiter.hire()
        if hired is not None:
            self._members[hired.number] = hired
            self._loop.add_reader(hired.channel.fileno(), self._hear, hired)
        return hired

    def _assign(self, member: Member, order: Order) -> None:
        member.tasks[order.key] = Task(order.key, order)
        member.served += 1
        if len(member.tasks) == 1:
            self._deadlines.expect_start(member)
        self._holders[order.key] = member
        if member.served >= self._settings.max_attempts_per_worker:
            member.is_retiring = True

    def _rest(self, member: Member) -> None:
        """Nothing to do for this worker: keep it warm, or let it go if it has served long enough."""
        member.since, member.idle_since = None, time.monotonic()
        if member.is_retiring or self._is_closing:
            self._retire(member)
        elif member.identity is not None and member not in self._idle:
            self._idle.append(member)
            self._tell_of_room()

    def _retire(self, member: Member) -> None:
        member.is_retiring = True
        self._send(member, Retire())

    def _send_idle_home(self) -> None:
        limit = self._settings.idle_timeout_seconds
        self._idle_timer = self._loop.call_later(max(limit / 2, 0.05), self._send_idle_home)
        now, too_many = time.monotonic(), len(self._members) - _FLOOR
        for member in [member for member in self._idle if now - member.idle_since >= limit][: max(too_many, 0)]:
            self._idle.remove(member)
            self._retire(member)

    def _tell_of_room(self) -> None:
        if not self._is_closing:
            self._on_room()

    # To the workers

    def _send(self, member: Member, *messages: Message) -> None:
        """Send them at the end of this turn of the loop, together with whatever else goes to that worker."""
        if member.channel.closed:
            return
        for message in messages:
            member.channel.put(message)
        if not self._unsent:
            self._loop.call_soon(self._flush_all)
        self._unsent.add(member)

    def _flush_all(self) -> None:
        unsent, self._unsent = self._unsent, set()
        for member in unsent:
            self._flush(member)

    def _flush(self, member: Member) -> None:
        if member.channel.closed:
            return
        member.channel.flush()
        if member.channel.has_unsent and member.is_watched:
            self._loop.add_writer(member.channel.fileno(), self._flush_rest, member)

    def _flush_rest(self, member: Member) -> None:
        member.channel.flush()
        if not member.channel.has_unsent:
            self._loop.remove_writer(member.channel.fileno())

    # From the workers

    def _hear(self, member: Member) -> None:
        for message in member.channel.receive():
            self._take(member, message)
        if member.channel.closed and member.is_watched:
            self._fall_silent(member)

    def _take(self, member: Member, message: Message) -> None:
        match message:
            case Report(finished):
                for one in finished:
                    self._pass_on(member, one)
                if member.tasks:
                    self._deadlines.expect_start(member)
                elif not member.is_adopted:
                    self._rest(member)
            case Started():
                self._note_start(member, message)
            case Progress():
                self._note_progress(member, message)
            case Hello():
                self._welcome(member, message)
            case _:
                pass

    def _note_start(self, member: Member, started: Started) -> None:
        task = member.tasks.get(started.key)
        if task is None:
            return
        if member.identity is None:
            member.early.append(started)
            return
        member.running, member.since, member.began = started.key, started.at, self._loop.time()
        task.child, task.started_at = started.child, started.at
        self._deadlines.note_start(task)
        if task.stop is not None:
            # The stop crossed this word of the start: a Python job has not been told yet.
            member.signal(signal.SIGUSR1)
        self._on_started(started.key, started.child or member.identity, started.at)

    def _note_progress(self, member: Member, said: Progress) -> None:
        task = member.tasks.get(said.key)
        if task is None:
            return
        if said.extended_seconds is not None:
            self._deadlines.extend(task, said.extended_seconds)
            self._adoption.extend(said.key, said.extended_seconds)
        if self._on_progress is not None:
            self._on_progress(said.key, said.fraction, said.text)

    def _pass_on(self, member: Member, finished: Finished) -> None:
        """Hand a report to the supervisor, as the end of that task."""
        task = member.tasks.pop(finished.key, None)
        self._holders.pop(finished.key, None)
        if member.running == finished.key:
            member.running = None
        self._note_room(finished.ending)
        self._unacknowledged[finished.key] = member
        self._adoption.is_reported(finished.key)
        if task is not None or member.is_adopted:
            self._on_report(finished)

    def _note_room(self, ending: Ending) -> None:
        """Where the machine has no room for a process, offer no seats for a while, longer each time."""
        if ending.exit_code == NO_ROOM and not ending.spent:
            self._pause_seconds = min(max(self._pause_seconds * 2, 1.0), _LONGEST_PAUSE_SECONDS)
            self._no_orders_before = self._loop.time() + self._pause_seconds
            self._loop.call_at(self._no_orders_before + 0.001, self._tell_of_room)
            self._on_degraded("spawning", f"{ending.error}; trying again in {self._pause_seconds:g} s")
        elif self._pause_seconds and ending.started_at is not None:
            self._pause_seconds = 0.0
            self._on_degraded("spawning", "")

    # Beginnings and ends of workers

    def _introduce(self, number: int, worker: ProcessIdentity) -> None:
        member = self._members.get(number)
        if member is None:
            return
        member.known_as(worker)
        early, member.early = member.early, []
        for started in early:
            self._note_start(member, started)
        if not member.tasks:
            self._rest(member)

    def _dissolve(self, number: int) -> None:
        """A worker that was asked for and never came: its orders go back."""
        member = self._members.get(number)
        if member is None:
            return
        for key in list(member.tasks):
            self._pass_on(member, judgement.given_back(key, "no worker could be hired"))
        self._remove(member)

    def _part(self, number: int, pid: int, status: int, left: Sequence[int]) -> None:
        """A worker has ended, and nothing of its attempts lives: settle what it did not report."""
        if left:
            pids = ", ".join(map(str, left))
            self._on_degraded("leftover_processes", f"processes {pids} could not be ended: end them by hand")
        member = self._members.get(number)
        if member is not None:
            self._hear(member)
            self._settle(member, f"its worker (pid {pid}) ended unexpectedly ({judgement.manner(status)})")

    def _fall_silent(self, member: Member) -> None:
        """A worker's end is told by its socket first; who still lives below it, the forkserver knows."""
        self._unwatch(member)
        if member.is_adopted:
            self._see_off(member)
        elif self._recruiter.answers_for(member):
            self._loop.call_later(_GONE_SECONDS, self._bury, member)
        else:
            self._bury(member)

    def _bury_silent(self) -> None:
        for member in [member for member in self._members.values() if not member.is_watched]:
            self._bury(member)

    def _bury(self, member: Member) -> None:
        """End what remains of a worker for which no forkserver answers."""
        if self._members.get(member.number) is not member:
            return
        member.signal(signal.SIGKILL)
        for task in list(member.tasks.values()):
            self.sweep(task.key, task.child)
        self._settle(member, "its worker ended unexpectedly, and so had its forkserver")

    def _settle(self, member: Member, error: str) -> None:
        """Judge what a dead worker did not report: what it had begun is lost, what waited behind it goes back.

        Of several begun, quick ones whose reports were still with the worker, only the last was still running.
        """
        begun = member.begun()
        for task in list(member.tasks.values()):
            if task not in begun:
                self._pass_on(member, judgement.given_back(task.key, error))
                continue
            cgroup.kill_unit(self._settings.runtime_dir, task.key)
            scratch.remove(self._settings.runtime_dir, task.key)
            self._pass_on(member, judgement.of_dead_worker(task, error, was_running=task is begun[-1]))
        self._remove(member)

    def _unwatch(self, member: Member) -> None:
        if member.is_watched:
            member.is_watched = False
            self._loop.remove_reader(member.channel.fileno())
            self._loop.remove_writer(member.channel.fileno())

    def _remove(self, member: Member) -> None:
        self._unwatch(member)
        self._members.pop(member.number, None)
        if member in self._idle:
            self._idle.remove(member)
        member.close()
        if not self._members:
            self._all_gone.set()
        self._tell_of_room()

    # Workers of an earlier supervisor

    def _greet(self, channel: Channel) -> None:
        """Somebody called on the adoption socket: who it is, its first message says."""
        guest = Member(0, channel, 0, is_adopted=True)
        self._guests.add(guest)
        self._loop.add_reader(channel.fileno(), self._hear, guest)

    def _welcome(self, guest: Member, hello: Hello) -> None:
        if not identity.is_alive(hello.worker):
            return
        guest.number = hello.number
        guest.known_as(hello.worker)
        if hello.key is None:
            return
        stop = self._adoption.is_connected(hello.key, hello.worker, hello.child, hello.kill_after_seconds)
        guest.tasks[hello.key] = Task(
            hello.key, None, hello.child, hello.started_at, adopted_kill_after_seconds=hello.kill_after_seconds
        )
        guest.running, guest.since, guest.began = hello.key, hello.started_at, self._loop.time()
        self._holders[hello.key] = guest
        if stop is not None:
            self.stop(hello.key, stop)

    def _see_off(self, guest: Member) -> None:
        """An adopted worker has gone: what it did not report, the watch over its process settles."""
        self._guests.discard(guest)
        for task in guest.tasks.values():
            self._holders.pop(task.key, None)
            self._adoption.is_disconnected(task.key, task.stop)
        guest.close()

    def _let_go(self) -> None:
        self._flush_all()
        self._adoption.close()
        self._idle_timer.cancel()
        self._deadlines.close()
        for member in (*self._members.values(), *self._guests):
            self._unwatch(member)
            member.close()
        self._members.clear()
        self._guests.clear()
        self._recruiter.close()


def _view(member: Member) -> WorkerState:
    key = member.head.key if member.head else None
    return WorkerState(
        member.number,
        member.identity.pid if member.identity else 0,
        member.state,
        key.run if key else None,
        key.attempt if key else None,
        member.since,
    )

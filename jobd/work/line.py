"""A worker's line to its supervisor: orders and stops come in, reports stay until acknowledged.

When the supervisor is gone, what it never acknowledged becomes files, and a worker that is still busy calls its
successor until one answers.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from jobd.core.model import AttemptKey, Ending, Finished, ProcessIdentity
from jobd.core.states import Outcome
from jobd.work import identity
from jobd.work.channel import Channel
from jobd.work.orders import Order
from jobd.work.wire import (
    Acknowledged,
    Hello,
    Message,
    Orders,
    Progress,
    Report,
    Retire,
    Started,
    Stop,
    report_to_bytes,
)

RETRY_SECONDS = 0.5
TALLY = struct.Struct("=qq")
"""Run and attempt, as the tally holds them."""
_SPEAKING_SECONDS = 0.2
"""How often at most the supervisor hears what an attempt says."""
GATHER_SECONDS = 0.003
"""How long what happened may wait for company before it is sent, while there is more to do."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """All that an attempt has said of itself, the latest of each."""

    fraction: float | None = None
    text: str = ""
    deadline: float | None = None
    """By the monotonic clock, where it has gained time."""


_NOTHING = Spoken()


class Line:
    """Owns the channel, the orders that wait and the reports that are not acknowledged yet."""

    def __init__(self, channel: Channel, number: int, runtime_dir: str, tally: int | None = None) -> None:
        """`tally` is a memory file in which the pool finds the last attempt begun, should the worker die."""
        self.channel = channel
        self.orders: deque[Order] = deque()
        self.is_leaving = False
        """No orders come any more: the worker ends once everything is acknowledged."""
        self._number = number
        self.runtime_dir = runtime_dir
        self._unacknowledged: dict[AttemptKey, Finished] = {}
        self._unreported: list[Finished] = []
        self._tally = tally
        self._key: AttemptKey | None = None
        """Of the attempt in hand."""
        self._kill_after_seconds = 0.0
        self._pid: int | None = None
        self._started_at = datetime.now(UTC)
        self._is_announced = True
        self._sent_at = 0.0
        self._stop: Outcome | None = None
        self._call_again_at = 0.0
        self.spoken = _NOTHING
        """What the attempt in hand has said so far."""
        self.say_at: float | None = None
        """When what it said is to be passed on (monotonic clock): flush then; None where nothing waits."""
        self._said_at = 0.0

    @property
    def is_orphaned(self) -> bool:
        """Nobody is at the other end."""
        return self.channel.closed

    @property
    def is_done(self) -> bool:
        return (self.is_leaving or self.is_orphaned) and not self.orders and not self._unacknowledged

    def take_in(self) -> None:
        """Deal with everything that has arrived; after the supervisor's end, with what it leaves undone."""
        if self.is_orphaned:
            self._call_successor()
            return
        for message in self.channel.receive():
            self._take(message)
        if self.is_orphaned:
            self._put_by()

    def stop_asked(self) -> Outcome | None:
        """The outcome with which the current attempt is to be ended, if that was asked."""
        return self._stop

    def start(self, pid: int | None, at: datetime) -> None:
        """The attempt begun is under way, as this child or in the worker: the next flush tells, if none ends it first.

        Whoever goes on with it flushes after a moment; most attempts of a busy worker are over by then.
        """
        self._pid, self._started_at, self._is_announced = pid, at, False

    def child_is_gone(self) -> None:
        """The child is waited for: who has not been told of its start by now needs its end alone."""
        self._pid, self._is_announced = None, True

    def say(self, fraction: float | None, text: str | None, deadline: float | None = None) -> None:
        """Pass on what the attempt says of itself: at once, or with others a little later where it says much.

        None leaves what it said before; `deadline` is of the monotonic clock.
        """
        self.spoken = Spoken(
            self.spoken.fraction if fraction is None else fraction,
            self.spoken.text if text is None else text,
            self.spoken.deadline if deadline is None else deadline,
        )
        if self.is_orphaned:
            return  # whoever answers next hears all of it
        if self.say_at is None:
            self.say_at = max(self._said_at + _SPEAKING_SECONDS, time.monotonic())
        self.flush()

    def _speak(self, now: float) -> None:
        if self._key is None or self.say_at is None or now < self.say_at:
            return
        self.say_at, self._said_at = None, now
        deadline = self.spoken.deadline
        left = None if deadline is None else max(deadline - now, 0.0)
        self.channel.put(Progress(self._key, self.spoken.fraction, self.spoken.text, left))

    def finish(self, finished: Finished) -> None:
        """Report how an attempt ended: with the next flush, or as a file where nobody listens."""
        self._key = self._stop = None
        self._unacknowledged[finished.key] = finished
        self._unreported.append(finished)
        if self.is_orphaned:
            self._put_by()
        elif time.monotonic() - self._sent_at > GATHER_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.is_orphaned:
            return
        if self._unreported:
            self.channel.put(Report(tuple(self._unreported)))
            self._unreported.clear()
        if self._key is not None and not self._is_announced:
            self._is_announced = True
            self.channel.put(Started(self._key, self._child(), self._started_at))
        self._sent_at = time.monotonic()
        self._speak(self._sent_at)
        self.channel.flush()

    def begin(self, order: Order) -> None:
        """From here on a stop for this attempt is meant for the worker, and one for any other is not."""
        self._key, self._pid, self._is_announced, self._stop = order.key, None, True, None
        self._kill_after_seconds = order.kill_after_seconds
        self.spoken, self.say_at, self._said_at = _NOTHING, None, 0.0
        if self._tally is not None:
            os.pwrite(self._tally, TALLY.pack(order.key.run, order.key.attempt), 0)

    def _take(self, message: Message) -> None:
        match message:
            case Orders(orders):
                self.orders.extend(orders)
            case Acknowledged(keys):
                for key in keys:
                    self._unacknowledged.pop(key, None)
            case Stop(key, outcome, unless_begun):
                self._take_stop(key, outcome, unless_begun=unless_begun)
            case Retire():
                self.is_leaving = True
            case _:
                pass

    def _take_stop(self, key: AttemptKey, outcome: Outcome, *, unless_begun: bool) -> None:
        if self._key == key:
            if not unless_begun:
                self._stop = self._stop or outcome
            return
        for order in self.orders:
            if order.key == key:
                self.orders.remove(order)
                self._give_back(order, outcome, "stopped before it was started")
                return

    def give_back_all(self, error: str) -> None:
        """Return every order that waits, its attempt unspent."""
        while self.orders:
            self._give_back(self.orders.popleft(), Outcome.INTERRUPTED, error)

    def _give_back(self, order: Order, outcome: Outcome, error: str) -> None:
        finished = Finished(order.key, Ending(outcome, finished_at=datetime.now(UTC), error=error, spent=False))
        self._unacknowledged[order.key] = finished
        self._unreported.append(finished)

    def _put_by(self) -> None:
        """Nobody will acknowledge any more: leave the reports where the next supervisor looks."""
        self.say_at = None
        self.give_back_all("jobd ended before it was started")
        self._unreported.clear()
        while self._unacknowledged:
            key, finished = self._unacknowledged.popitem()
            leave_report(self.runtime_dir, key, finished)

    def _child(self) -> ProcessIdentity | None:
        return identity.of(self._pid) if self._pid is not None else None

    def _hello(self) -> Hello:
        return Hello(self._number, identity.own(), self._key, self._child(), self._started_at, self._kill_after_seconds)

    def _call_successor(self) -> None:
        if self._key is None or time.monotonic() < self._call_again_at:
            return
        self._call_again_at = time.monotonic() + RETRY_SECONDS
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(f"{self.runtime_dir}/adopt.sock")
        except OSError:
            sock.close()
            return
        self.channel = Channel(sock)
        self.is_leaving = True
        self.channel.put(self._hello())
        if self.spoken is not _NOTHING:
            self.say_at = time.monotonic()
            self._speak(self.say_at)
        self.channel.flush()


def leave_report(runtime_dir: str, key: AttemptKey, finished: Finished) -> None:
    """Write a report as a file that is whole whenever it is there."""
    path = f"{runtime_dir}/outcomes/{key}.json"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(OSError):
        # A full or missing runtime directory costs the report: the next supervisor then finds the attempt lost.
        fd = os.open(f"{path}.new", flags, 0o600)
        try:
            data = memoryview(report_to_bytes(finished))
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
        os.rename(f"{path}.new", path)

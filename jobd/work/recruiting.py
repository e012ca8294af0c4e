"""Gets workers from the forkserver, and another forkserver when it has gone; waits where the machine has no room."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobd.core.model import ProcessIdentity
from jobd.work.channel import Channel
from jobd.work.hiring import ForkServer
from jobd.work.member import Member
from jobd.work.wire import Gone, Hired, NotHired, Ready

_LONGEST_BACKOFF_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Ears:
    """Whom the recruiter tells what."""

    on_hired: Callable[[int, ProcessIdentity], None]
    on_not_hired: Callable[[int], None]
    on_gone: Callable[[int, int, int, Sequence[int]], None]
    """Number, pid, exit status, and what could not be ended below it."""
    on_forkserver_lost: Callable[[], None]
    on_degraded: Callable[[str, str], None]
    on_room: Callable[[], None]


class Recruiter:
    def __init__(self, forkserver: ForkServer, loop: asyncio.AbstractEventLoop, ears: Ears) -> None:
        self._forkserver, self._loop, self._ears = forkserver, loop, ears
        self.containment = "process group and subreaper"
        self._next_number = 1
        self._not_before = 0.0
        self._backoff_seconds = 0.0
        self._is_closed = False
        loop.add_reader(forkserver.fileno(), self._hear)

    @property
    def takes_requests(self) -> bool:
        return not (self._is_closed or self._forkserver.closed or self._loop.time() < self._not_before)

    def answers_for(self, member: Member) -> bool:
        """Whether the forkserver that made this worker is there to clear up after it."""
        return member.generation == self._forkserver.generation and not self._forkserver.closed

    def hire(self) -> Member | None:
        """Ask for a worker, which can be given orders at once; None where the request cannot be made."""
        number, self._next_number = self._next_number, self._next_number + 1
        ours, theirs = socket.socketpair()
        tally = os.memfd_create(f"worker-{number}", os.MFD_CLOEXEC)
        member = Member(number, Channel(ours), self._forkserver.generation, tally)
        with theirs:
            try:
                self._forkserver.hire(number, theirs, tally)
            except OSError as problem:
                member.close()
                self._back_off("hiring", f"the forkserver takes no requests: {problem.strerror}")
                return None
        return member

    def close(self) -> None:
        self._is_closed = True
        if not self._forkserver.closed:
            self._loop.remove_reader(self._forkserver.fileno())
            self._forkserver.close()

    def _hear(self) -> None:
        for message in self._forkserver.receive():
            match message:
                case Ready(_, containment):
                    self.containment = containment
                    if self._forkserver.generation > 1:
                        self._ears.on_degraded("forkserver", "")
                case Hired(number, worker):
                    self._note_success()
                    self._ears.on_hired(number, worker)
                case NotHired(number, error):
                    self._back_off("hiring", error)
                    self._ears.on_not_hired(number)
                case Gone(number, pid, status, left):
                    self._ears.on_gone(number, pid, status, left)
                case _:
                    pass
        if self._forkserver.closed:
            self._replace()

    def _note_success(self) -> None:
        if self._backoff_seconds:
            self._backoff_seconds = 0.0
            self._ears.on_degraded("hiring", "")

    def _back_off(self, reason: str, error: str) -> None:
        self._backoff_seconds = min(max(self._backoff_seconds * 2, 1.0), _LONGEST_BACKOFF_SECONDS)
        self._not_before = self._loop.time() + self._backoff_seconds
        self._loop.call_at(self._not_before + 0.001, self._ears.on_room)
        self._ears.on_degraded(reason, f"{error}; trying again in {self._backoff_seconds:g} s")

    def _replace(self) -> None:
        self._loop.remove_reader(self._forkserver.fileno())
        self._forkserver.close()
        if self._is_closed:
            return
        self._back_off("forkserver", "the forkserver has ended unexpectedly, and another one is started")
        self._loop.call_at(self._not_before, self._start_again)
        self._ears.on_forkserver_lost()

    def _start_again(self) -> None:
        if self._is_closed:
            return
        try:
            self._forkserver.restart()
        except OSError as problem:
            self._back_off("forkserver", f"no forkserver could be started: {problem}")
            self._loop.call_at(self._not_before, self._start_again)
            return
        self._loop.add_reader(self._forkserver.fileno(), self._hear)
        self._ears.on_room()

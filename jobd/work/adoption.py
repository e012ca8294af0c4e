"""Attempts that an earlier supervisor handed out: watched by their worker's process until their end is known.

A busy worker reconnects by itself over `adopt.sock`; one that cannot leaves its report as a file when it ends. A
worker that is gone without either has lost its attempt.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from jobd.core.model import AttemptKey, Finished, ProcessIdentity
from jobd.core.states import Outcome
from jobd.work import judgement, left_behind, scratch, tree
from jobd.work.channel import Channel
from jobd.work.identity import open_pidfd
from jobd.work.reach import Holder

_SECOND_LINE_SECONDS = 1.0


@dataclass(slots=True)
class _Watched:
    key: AttemptKey
    worker: ProcessIdentity
    child: ProcessIdentity | None
    pidfd: int | None
    timer: asyncio.TimerHandle | None = None
    stop: Outcome | None = None
    is_connected: bool = False
    kill_after_seconds: float = 10.0
    """Of its job, as its worker says once it has come back."""


class Adoption:
    def __init__(
        self,
        runtime_dir: str,
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[[Finished], None],
        on_call: Callable[[Channel], None],
    ) -> None:
        self._runtime_dir, self._loop, self._on_end, self._on_call = runtime_dir, loop, on_end, on_call
        self._watched: dict[AttemptKey, _Watched] = {}
        self._path = f"{runtime_dir}/adopt.sock"
        self._listener = self._listen()

    def watch(
        self, key: AttemptKey, worker: ProcessIdentity, child: ProcessIdentity | None, deadline: datetime | None
    ) -> None:
        if key in self._watched:
            return
        watched = self._watched[key] = _Watched(key, worker, child, open_pidfd(worker))
        if watched.pidfd is None:
            self._loop.call_soon(self._conclude, watched)
            return
        self._loop.add_reader(watched.pidfd, self._conclude, watched)
        if deadline is not None:
            seconds = (deadline - datetime.now(UTC)).total_seconds() + _SECOND_LINE_SECONDS
            # A worker comes back within half a second, and may then tell of time that its attempt has gained.
            self._end_in(watched, max(seconds, _SECOND_LINE_SECONDS))

    def extend(self, key: AttemptKey, seconds: float) -> None:
        """The attempt has gained time: it may run for so long from now on."""
        watched = self._watched.get(key)
        if watched is not None and watched.timer is not None:
            watched.timer.cancel()
            self._end_in(watched, seconds + watched.kill_after_seconds + _SECOND_LINE_SECONDS)

    def _end_in(self, watched: _Watched, seconds: float) -> None:
        watched.timer = self._loop.call_later(seconds, self._end, watched, Outcome.TIMEOUT)

    def count(self) -> int:
        """How many attempts are watched whose worker has not come back."""
        return sum(not watched.is_connected for watched in self._watched.values())

    def worker_of(self, key: AttemptKey) -> ProcessIdentity | None:
        watched = self._watched.get(key)
        return watched.worker if watched else None

    def holder_of(self, key: AttemptKey) -> Holder | None:
        """Who is at an attempt whose worker has not come back."""
        watched = self._watched.get(key)
        return Holder(watched.worker, watched.child) if watched else None

    def stop(self, key: AttemptKey, outcome: Outcome) -> bool:
        """End an attempt whose worker has not come back yet: TERM to its child now, KILL to everything later."""
        watched = self._watched.get(key)
        if watched is None:
            return False
        watched.stop = outcome
        if watched.child is not None:
            tree.send(watched.child, signal.SIGTERM, signal.SIGCONT)
        self._loop.call_later(watched.kill_after_seconds, self._end_unless_back, watched, outcome)
        return True

    def is_connected(
        self, key: AttemptKey, worker: ProcessIdentity, child: ProcessIdentity | None, kill_after_seconds: float
    ) -> Outcome | None:
        """The worker has come back; the answer is what its attempt is to be stopped as, if that was asked meanwhile."""
        if key not in self._watched:
            self.watch(key, worker, child, None)
        watched = self._watched[key]
        watched.is_connected, watched.kill_after_seconds = True, kill_after_seconds
        return watched.stop

    def is_disconnected(self, key: AttemptKey, stop: Outcome | None) -> None:
        watched = self._watched.get(key)
        if watched is not None:
            watched.is_connected = False
            watched.stop = watched.stop or stop

    def is_reported(self, key: AttemptKey) -> None:
        """The attempt's end is known: nothing is left to watch."""
        watched = self._watched.pop(key, None)
        if watched is not None:
            self._release(watched)

    def close(self) -> None:
        for watched in self._watched.values():
            self._release(watched)
        self._watched.clear()
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        with suppress(FileNotFoundError):
            os.unlink(self._path)

    def _release(self, watched: _Watched) -> None:
        if watched.timer is not None:
            watched.timer.cancel()
        if watched.pidfd is not None:
            self._loop.remove_reader(watched.pidfd)
            os.close(watched.pidfd)
            watched.pidfd = None

    def _conclude(self, watched: _Watched) -> None:
        """The worker is gone: what it left says how the attempt ended, or nothing does."""
        if self._watched.get(watched.key) is not watched:
            return
        if watched.is_connected:
            # What it sent before it went is read first; the end of the channel comes back here.
            watched.is_connected = False
            self._loop.call_soon(self._conclude, watched)
            return
        self.is_reported(watched.key)
        left = left_behind.report(self._runtime_dir, watched.key)
        if left is None:
            tree.end_attempt(self._runtime_dir, watched.key, watched.child)
            left = judgement.lost(watched.key, "its worker was gone without a report")
        scratch.remove(self._runtime_dir, watched.key)
        self._on_end(judgement.as_asked(left, watched.stop))

    def _end_unless_back(self, watched: _Watched, outcome: Outcome) -> None:
        """A worker that has come back ends its attempt itself, in the time that its job has for it."""
        if not watched.is_connected:
            self._end(watched, outcome)

    def _end(self, watched: _Watched, outcome: Outcome) -> None:
        """The last means: the worker and everything of the attempt at once."""
        if self._watched.get(watched.key) is not watched or watched.pidfd is None:
            return
        watched.stop = watched.stop or outcome
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(watched.pidfd, signal.SIGKILL)

    def _listen(self) -> socket.socket:
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(self._path)
        os.chmod(self._path, 0o600)
        listener.listen(128)
        self._loop.add_reader(listener.fileno(), self._answer)
        return listener

    def _answer(self) -> None:
        with suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                if _uid_of(sock) == os.geteuid():
                    self._on_call(Channel(sock))
                else:
                    sock.close()


def _uid_of(sock: socket.socket) -> int:
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("iII", data)[1])

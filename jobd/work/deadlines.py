"""The second line of defence: attempts that their worker does not end in time are ended together with the worker."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterable

from jobd.core.model import Seen
from jobd.core.states import Outcome
from jobd.work import tree
from jobd.work.member import Member, Task

_MARGIN_SECONDS = 0.5
_START_SECONDS = 5.0
_ENDLESS_START_SECONDS = 60.0
_SPARED = 2
"""How often a worker that is past an attempt is given time to say so."""
_HALT_SECONDS = 0.05


class Deadlines:
    """Keeps one timer for the earliest deadline of the attempts that workers are at."""

    def __init__(self, loop: asyncio.AbstractEventLoop, members: Callable[[], Iterable[Member]]) -> None:
        self._loop, self._members = loop, members
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def expect_start(self, member: Member) -> None:
        """The worker comes to its next order: one that hangs before it tells of the start is found out too."""
        task = member.head
        if task is not None and task.order is not None and task.deadline is None:
            runs = task.order.timeout_seconds + task.kill_after_seconds if task.order.timeout_seconds else 0.0
            self._give(task, runs + (_START_SECONDS if runs else _ENDLESS_START_SECONDS))

    def note_start(self, task: Task) -> None:
        """From here on the attempt's own time counts."""
        task.deadline = None
        if task.order is not None and task.order.timeout_seconds:
            self._give(task, task.order.timeout_seconds + task.kill_after_seconds)
        if task.stop is not None:
            self.note_stop(task)

    def extend(self, task: Task, seconds: float) -> None:
        """The attempt has gained time: it may run for so long from now on."""
        if task.order is not None and task.stop is None:
            task.deadline = None
            self._give(task, seconds + task.kill_after_seconds)

    def note_stop(self, task: Task) -> None:
        self._give(task, task.kill_after_seconds)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _give(self, task: Task, seconds: float) -> None:
        at = self._loop.time() + seconds + _MARGIN_SECONDS
        task.deadline = at if task.deadline is None else min(at, task.deadline)
        if self._timer is None or task.deadline < self._at:
            self._plan(task.deadline)

    def _plan(self, at: float) -> None:
        self.close()
        self._at = at
        self._timer = self._loop.call_at(at, self._enforce)

    def _enforce(self) -> None:
        self._timer = None
        now, awaited = self._loop.time(), []
        for member in self._members():
            task = member.head
            if task is None or task.deadline is None:
                continue
            if task.deadline <= now:
                _end(member, task, now)
            if task.deadline is not None:
                awaited.append(task.deadline)
        if awaited:
            self._plan(min(awaited))


def _end(member: Member, task: Task, now: float) -> None:
    """What the worker could not end in time ends with the worker: the forkserver then clears up below it.

    On a machine that gives a worker little time it may be past the attempt, and its report on the way: what came after
    is spared. It is stopped before anybody looks, so that it begins nothing between the look and its end.
    """
    seen = _snapshot(member)
    _halt(member)
    if task.spared < _SPARED and _is_past(member, task):
        member.signal(signal.SIGCONT)
        task.spared, task.deadline = task.spared + 1, now + _START_SECONDS
        return
    task.stop, task.deadline = task.stop or Outcome.TIMEOUT, None
    task.snapshot = seen
    member.signal(signal.SIGKILL)


def _halt(member: Member) -> None:
    """Stop the worker, and wait until it does stand still: that takes an instant, or for one that is stuck too long."""
    member.signal(signal.SIGSTOP)
    until = time.monotonic() + _HALT_SECONDS
    while member.is_moving and time.monotonic() < until:
        time.sleep(0.0005)


def _is_past(member: Member, task: Task) -> bool:
    """Whether the worker has begun something after this attempt."""
    begun = member.begun()
    return bool(begun) and begun[-1] is not task


def _snapshot(member: Member) -> tuple[Seen, ...]:
    if member.identity is None:
        return ()
    return tree.snapshot([member.identity, *tree.descendants(member.identity.pid)])

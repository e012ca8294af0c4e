"""One worker as the pool sees it: what it was given, what it is at, and how to reach it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from jobd.core.model import AttemptKey, ProcessIdentity, Seen
from jobd.core.states import Outcome
from jobd.work.channel import Channel
from jobd.work.identity import open_pidfd, stat_fields
from jobd.work.line import TALLY
from jobd.work.orders import Order
from jobd.work.wire import Started

_AT_REST = (b"T", b"t", b"Z", b"X")
"""States of a process (proc(5)) in which it does nothing more."""


@dataclass(slots=True)
class Task:
    """An attempt that a worker was given and has not reported."""

    key: AttemptKey
    order: Order | None
    """None for an attempt that another supervisor handed out."""
    child: ProcessIdentity | None = None
    started_at: datetime | None = None
    stop: Outcome | None = None
    """What the attempt is to end as, once somebody asked for its end."""
    is_asked_back: bool = False
    """It waits behind a long attempt, and is to be given back unless it has begun meanwhile."""
    deadline: float | None = None
    """Instant of the monotonic clock at which the pool itself ends it."""

    spared: int = 0
    """How often it was given time because its worker had come past it."""
    snapshot: tuple[Seen, ...] = ()
    """The worker and what was below it when the pool ended it."""
    adopted_kill_after_seconds: float = 10.0
    """What an adopted one has instead of an order."""

    @property
    def kill_after_seconds(self) -> float:
        return self.order.kill_after_seconds if self.order is not None else self.adopted_kill_after_seconds


@dataclass(slots=True, eq=False)
class Member:
    number: int
    channel: Channel
    generation: int
    """Of the forkserver it comes from; 0 for an adopted one."""
    tally: int | None = None
    """The memory file in which it notes each attempt it begins; None for an adopted one."""
    identity: ProcessIdentity | None = None
    pidfd: int | None = None
    tasks: dict[AttemptKey, Task] = field(default_factory=dict)
    """In the order in which it executes them."""
    running: AttemptKey | None = None
    since: datetime | None = None
    """Since when it is at that attempt, by the wall clock of then."""
    began: float = 0.0
    """The same by the monotonic clock: when the pool heard of it."""
    served: int = 0
    is_adopted: bool = False
    is_retiring: bool = False
    is_watched: bool = True
    """Its channel is read; false once it has gone silent."""
    idle_since: float = 0.0
    early: list[Started] = field(default_factory=list)
    """Starts it told of before the forkserver told of the worker."""

    @property
    def state(self) -> Literal["idle", "busy", "adopted", "starting"]:
        if self.is_adopted:
            return "adopted"
        if self.tasks:
            return "busy"
        return "starting" if self.identity is None else "idle"

    @property
    def head(self) -> Task | None:
        """What it is at, or will be at next."""
        return self.tasks[self.running] if self.running else next(iter(self.tasks.values()), None)

    @property
    def takes_orders(self) -> bool:
        return not self.is_adopted and not self.is_retiring and not self.channel.closed

    def begun(self) -> list[Task]:
        """Of what it has not reported, what it has begun: as its note says, also when it had no time to say so."""
        if self.tally is None:
            return list(self.tasks.values())
        noted = os.pread(self.tally, TALLY.size, 0)
        key = AttemptKey(*TALLY.unpack(noted)) if len(noted) == TALLY.size else None
        tasks = list(self.tasks.values())
        return next((tasks[: at + 1] for at, task in enumerate(tasks) if task.key == key), [])

    def known_as(self, identity: ProcessIdentity) -> None:
        self.identity = identity
        self.pidfd = open_pidfd(identity)

    def signal(self, number: int) -> None:
        """Signal the worker itself, and never a stranger."""
        if self.pidfd is not None:
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self.pidfd, number)

    @property
    def is_moving(self) -> bool:
        """The worker can do something: it is there, and not stopped."""
        fields = stat_fields(self.identity.pid) if self.identity is not None else None
        return fields is not None and fields[0] not in _AT_REST

    def close(self) -> None:
        self.channel.close()
        for fd in (self.pidfd, self.tally):
            if fd is not None:
                os.close(fd)
        self.pidfd = self.tally = None

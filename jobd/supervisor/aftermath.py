"""What a transaction has decided and only its commit may set off: orders, kills, answers, events."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobd.core.events import Event
from jobd.core.model import AttemptKey, Finished
from jobd.core.states import Outcome
from jobd.supervisor.catalogs import Change
from jobd.supervisor.inbox import Question
from jobd.work.orders import Order


@dataclass(slots=True)
class Aftermath:
    """Filled by the stages of a tick, carried out after its commit, thrown away without one."""

    orders: list[tuple[int, Order]] = field(default_factory=list)
    """(worker's number, order), in the order of reservation."""
    acknowledged: list[AttemptKey] = field(default_factory=list)
    stops: list[tuple[AttemptKey, Outcome]] = field(default_factory=list)
    answers: list[tuple[Question, Any]] = field(default_factory=list)
    """An answer that is an exception is raised where the question was asked."""
    events: list[Event] = field(default_factory=list)
    planned: list[tuple[str, datetime | None]] = field(default_factory=list)
    """(job, its next slot)."""
    watched: list[tuple[str, datetime | None]] = field(default_factory=list)
    """(job of which something is expected, when to look at it again if nothing happens)."""
    final: list[int] = field(default_factory=list)
    """Runs that have reached a final state."""
    followed: int = 0
    """How many of these have had the edges below them decided."""
    changed: list[int] = field(default_factory=list)
    """Runs of which an attempt started or ended."""
    failed: list[Finished] = field(default_factory=list)
    """Reports that jobd itself makes of attempts it cannot start."""
    next_due: datetime | None = None
    """When the next scheduled or retried run becomes ready."""
    next_token: datetime | None = None
    """When the next run may start that only waits for its rate limit."""
    wanted: int = 0
    """How many runs wait that could start if there were a worker for them, as far as they were counted."""
    change: Change | None = None
    """The catalog that is in force from now on, where one was adopted."""

    def take_over(self, part: Aftermath) -> None:
        """Add what a part of the tick has decided that might have been given up."""
        self.events += part.events
        self.final += part.final
        self.changed += part.changed
        self.stops += part.stops

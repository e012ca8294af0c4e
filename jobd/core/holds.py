"""What keeps a job or a queue back: pauses, circuits, slots to be skipped; and why a slot starts nothing for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from jobd.core.model import CircuitBreaker
from jobd.core.spans import rfc3339

EVERYTHING = "*"
"""The queue that stands for all queues and for the slots of all jobs; no queue can have this name."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A span in which nothing starts, and whose it is."""

    at: datetime
    until: datetime | None
    """None is until somebody resumes it."""
    by: str
    note: str = ""
    in_force: bool = True
    """False for one that has ended: it is remembered for slots of its span that are decided later."""

    def covers(self, slot: datetime, now: datetime) -> bool:
        """Whether a slot that is decided at `now`, or to come, falls into it.

        A pause in force that lies ahead was made before the clock was set back: then it covers all that comes.
        """
        return (self.at <= slot or (self.in_force and now < self.at)) and (self.until is None or slot < self.until)

    @property
    def reason(self) -> str:
        until = f" until {rfc3339(self.until)}" if self.until else ""
        return f"paused: {self.note} (by {self.by}{until})" if self.note else f"paused: by {self.by}{until}"


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """The cooldown is over, and one run may try whether the job works again."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """How the circuit of a job stands."""

    failures: int = 0
    """Final failures in a row."""
    until: datetime | None = None
    """When its cooldown ends or ended; None while it is closed."""
    trial: int | None = None
    """The run that tries whether the job works again."""

    def state(self, now: datetime) -> CircuitState:
        if self.until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self.until else CircuitState.HALF_OPEN

    def bar(self, slot: datetime) -> str | None:
        """Why it keeps a slot back."""
        if self.until is None:
            return None
        if slot < self.until:
            return f"circuit: open after {self.failures} failures in a row, until {rfc3339(self.until)}"
        return f"circuit: its trial, run {self.trial}, is not over" if self.trial is not None else None

    def after(self, breaker: CircuitBreaker, now: datetime, *, succeeded: bool) -> Circuit:
        """How it stands after a run of the job succeeded, or failed for good.

        Success closes it. A failure opens it when there were enough in a row, and anew when its cooldown was over; one
        of a run that was under way when it opened only counts.
        """
        if succeeded:
            return Circuit()
        failures = self.failures + 1
        opens = failures >= breaker.failures if self.until is None else now >= self.until
        if not opens:
            return Circuit(failures, self.until, self.trial)
        return Circuit(failures, now + timedelta(seconds=breaker.cooldown_seconds))


CLOSED = Circuit()
"""The circuit of a job that does not fail."""


@dataclass(frozen=True, slots=True)
class Holds:
    """Everything that keeps slots of a job back."""

    pause: Pause | None = None
    """The last one of the job, in force or over."""
    everything: Pause | None = None
    circuit: Circuit = field(default_factory=Circuit)
    skips: Mapping[datetime, str] = field(default_factory=dict)
    """Slots that are skipped ahead, and the reason of each."""

    def bar(self, slot: datetime, now: datetime) -> str | None:
        """Why a slot starts nothing; None where nothing here keeps it back."""
        if slot in self.skips:
            return self.skips[slot]
        for pause in (self.everything, self.pause):
            if pause is not None and pause.covers(slot, now):
                return pause.reason
        return self.circuit.bar(slot)

"""What the store tells of runs, attempts, jobs and queues: read-only rows for listings, health and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobd.core.holds import CLOSED, Circuit, Pause
from jobd.core.lateness import Late
from jobd.core.model import Json, Seen, Usage
from jobd.core.states import Condition, Disposition, Outcome, RunState, Trigger
from jobd.core.trace import Trace


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as INTERFACES.md's control API lists it."""

    id: int
    job: str
    """The job's name; for an ad-hoc run the word `adhoc`."""
    state: RunState
    queue: str
    priority: int
    payload: Json
    result: Json
    error: str | None
    attempts: int
    max_attempts: int
    trigger: Trigger
    slot: datetime | None
    run_at: datetime
    created_at: datetime
    started_at: datetime | None
    """Start of the latest attempt's child, or its reservation while that is not known."""
    finished_at: datetime | None
    exit_code: int | None
    outcome: Outcome | None
    key: str | None
    parent: int | None
    owner: str | None
    spec_version: str
    """The first 12 hex digits of the hash of the definition the run was accepted under."""
    adhoc: bool
    cancelling: bool
    """A cancel was accepted and its attempt is being ended."""
    argv: tuple[str, ...] | None = None
    """What an ad-hoc run executes."""
    expires_at: datetime | None = None
    """It never starts after that, if it has not yet."""
    trace: Trace | None = None

    @property
    def duration_seconds(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    run: int
    attempt: int
    reserved_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    outcome: Outcome | None
    """None while it runs."""
    exit_code: int | None
    signal: int | None
    error: str | None
    worker_pid: int | None
    pid: int | None
    usage: Usage | None
    snapshot: tuple[Seen, ...] = ()
    progress: float | None = None
    """What it last said of how far it is (0 to 1)."""
    status_text: str = ""
    """Its processes at the moment SIGKILL was due."""


@dataclass(frozen=True, slots=True)
class JobStanding:
    """What the store remembers of a job beside its definition."""

    name: str
    first_seen_at: datetime
    watermark: datetime
    """No slot at or before this instant fires any more."""
    last_slot: datetime | None
    last_run: int | None
    last_state: RunState | None
    last_outcome: Outcome | None
    last_exit_code: int | None
    last_finished_at: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    waiting: int
    running: int
    pause: Pause | None = None
    """Its own pause, where one is in force."""
    circuit: Circuit = CLOSED
    late: tuple[Late, ...] = ()
    """What it is late with by the last look."""


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many of the jobs in force failed last, are paused, are kept back by their circuit, are late."""

    failed: int
    paused: int
    circuit_open: int
    late: int = 0


@dataclass(frozen=True, slots=True)
class Remembered:
    """How far the slots of a job are decided, and since when it is out of force where it is."""

    first_seen_at: datetime
    watermark: datetime
    last_slot: datetime | None
    removed_at: datetime | None


@dataclass(frozen=True, slots=True)
class QueueFigures:
    name: str
    counts: dict[RunState, int]
    """Runs by state; only the states that occur. Final states count what history still holds."""
    oldest_waiting_at: datetime | None
    executions_24h: int
    succeeded_24h: int
    failed_24h: int
    average_seconds_24h: float | None
    dead_letters: int = 0


@dataclass(frozen=True, slots=True)
class SlotRecord:
    job: str
    slot: datetime
    disposition: Disposition
    run: int | None
    reason: str
    run_state: RunState | None = None
    """How the slot's run stands, and below how its last attempt ended; None where there is no run (any more)."""
    run_outcome: Outcome | None = None
    run_exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A run that failed for good and waits for somebody to act on it."""

    run: int
    job: str
    queue: str
    """The queue the run failed in."""
    reason: str
    died_at: datetime
    attempts: int
    outcome: Outcome | None
    exit_code: int | None
    owner: str | None


@dataclass(frozen=True, slots=True)
class Death:
    """One time a run became a dead letter, and what was done about it: `retried` or `dropped`, None while nothing."""

    reason: str
    died_at: datetime
    attempts: int
    queue: str
    acted_at: datetime | None
    action: str | None
    acted_by: str | None


@dataclass(frozen=True, slots=True)
class DeadFigures:
    """The open dead letters of one job in one queue."""

    queue: str
    job: str
    count: int
    oldest_at: datetime
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class DeadFilter:
    """Which open dead letters; whatever is not set narrows nothing. `before` is a listing's cursor."""

    runs: tuple[int, ...] = ()
    job: str | None = None
    queue: str | None = None
    owner: str | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class ParentRecord:
    """What a run is told of one that it waited for."""

    run: int
    job: str
    state: RunState
    outcome: Outcome | None
    error: str | None
    result: str | None
    """JSON text; None where there is none, or where it is not this run's to see."""


@dataclass(frozen=True, slots=True)
class Wait:
    """One run that another one waits for, or waited for."""

    parent: int
    job: str
    state: RunState
    on: Condition
    decision: str | None
    """`holds`, `cancels`, `fails` or `waived`; None while it is undecided."""


@dataclass(frozen=True, slots=True)
class Relative:
    """A run in the picture of its workflow."""

    id: int
    job: str
    state: RunState
    outcome: Outcome | None
    exit_code: int | None
    error: str | None
    owner: str | None
    attempts: int
    run_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def duration_seconds(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Kinship:
    """Runs that hang together, and the edges among them as (parent, child, condition, decision)."""

    runs: tuple[Relative, ...]
    edges: tuple[tuple[int, int, Condition, str | None], ...]
    is_cut: bool
    """There are more runs than these, which are the nearest."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list, newest first; `before` is the cursor: only ids below it."""

    job: str | None = None
    states: tuple[RunState, ...] = ()
    queue: str | None = None
    since: datetime | None = None
    before: int | None = None
    limit: int = 50

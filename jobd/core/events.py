"""What happened, once and as values; sentences, counters and streams are made of them elsewhere (observe)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobd.core.lateness import Check
from jobd.core.model import AttemptKey, Ending
from jobd.core.queues import Change
from jobd.core.states import Disposition, Outcome, RunState, Trigger


@dataclass(frozen=True, slots=True)
class RunAccepted:
    run: int
    job: str
    queue: str
    trigger: Trigger
    at: datetime
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    key: AttemptKey
    job: str
    queue: str
    at: datetime
    waited_seconds: float


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    key: AttemptKey
    job: str
    queue: str
    at: datetime
    ending: Ending
    next_at: datetime | None = None
    """When the run is tried again; None if it is not."""


@dataclass(frozen=True, slots=True)
class RunFinished:
    run: int
    job: str
    queue: str
    at: datetime
    state: RunState
    outcome: Outcome | None
    duration_seconds: float
    exit_code: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SlotDecided:
    job: str
    slot: datetime
    at: datetime
    disposition: Disposition
    run: int | None = None
    reason: str = ""
    lag_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class AttemptRescued:
    """What recovery made of an attempt that a dead supervisor left behind: adopted, reported or lost."""

    key: AttemptKey
    job: str
    at: datetime
    how: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Somebody keeps a job, a queue or everything (`*`) back."""

    kind: str
    """`job` or `queue`."""
    name: str
    at: datetime
    by: str
    until: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A job, a queue or everything (`*`) is kept back no more; `by` nobody where its time was over."""

    kind: str
    name: str
    at: datetime
    by: str | None = None


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """Somebody set limits of a queue in place of jobd.yaml's, or took back what was set."""

    queue: str
    at: datetime
    by: str
    change: Change


@dataclass(frozen=True, slots=True)
class SlotSkipped:
    """Somebody said of a slot to come that it is to be skipped, or took that back."""

    job: str
    slot: datetime
    at: datetime
    by: str
    taken_back: bool = False


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """The circuit of a job opened, until an instant, or closed (None); or a run may try whether it works again."""

    job: str
    at: datetime
    failures: int = 0
    until: datetime | None = None
    trial: int | None = None


@dataclass(frozen=True, slots=True)
class CatalogChanged:
    at: datetime
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    problems: tuple[str, ...]
    """Every problem as `FILE:LINE:COL: …`; where there are some, the last good jobs of those files stay in force."""


@dataclass(frozen=True, slots=True)
class ScheduleMoved:
    """The next slot of a job moved although nobody changed the job: the rules by which it is worked out are others."""

    job: str
    at: datetime
    before: datetime
    now: datetime | None
    cause: str
    """What changed, such as `tzdata 2025b → 2026a`."""


@dataclass(frozen=True, slots=True)
class JobLate:
    """A job does not keep what `expect` says of it: told once, until it does again."""

    job: str
    at: datetime
    check: Check
    since: datetime
    detail: str
    run: int | None = None
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class LatenessEnded:
    """A job is not late any more by this check, or is held and owes nothing."""

    job: str
    at: datetime
    check: Check
    since: datetime
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class StoreCommitted:
    at: datetime
    seconds: float
    changes: int


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The wall clock was set while jobd ran, by so many seconds (negative is back)."""

    at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Degraded:
    """A part of jobd is not well (`reason` a machine word), or well again (`detail` empty)."""

    reason: str
    at: datetime
    detail: str = ""


Event = (
    RunAccepted
    | AttemptStarted
    | AttemptFinished
    | RunFinished
    | SlotDecided
    | AttemptRescued
    | Paused
    | Resumed
    | QueueChanged
    | SlotSkipped
    | CircuitChanged
    | CatalogChanged
    | ScheduleMoved
    | JobLate
    | LatenessEnded
    | StoreCommitted
    | ClockStepped
    | Degraded
)

"""What the control edge needs from the rest of jobd; the supervisor hands over objects that fit these."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from jobd.core.allowlist import Allowlist
from jobd.core.audit import Kept
from jobd.core.buckets import Use
from jobd.core.events import Event
from jobd.core.holds import Pause
from jobd.core.intents import Actor, Intent
from jobd.core.masking import Masker
from jobd.core.model import Job, Json
from jobd.core.queues import NO_LIMITS, Limits, QueueSet
from jobd.core.records import (
    AttemptRecord,
    DeadFigures,
    DeadFilter,
    DeadLetter,
    Death,
    JobCounts,
    JobStanding,
    Kinship,
    QueueFigures,
    RunFilter,
    RunRecord,
    SlotRecord,
)
from jobd.core.retention import Pruned
from jobd.core.states import Disposition
from jobd.core.stats import Sample


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload changed: names of jobs, words of jobd.yaml, and every problem as `FILE:LINE:COL: …`."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    restart_needed: tuple[str, ...] = ()
    """Words that were changed in jobd.yaml and hold once jobd starts anew."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class WorkerView:
    number: int
    pid: int
    state: str
    """`idle`, `busy`, `adopted` or `starting`."""
    run: int | None = None
    attempt: int | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """The daemon at a glance, gathered from memory alone."""

    version: str
    pid: int
    started_at: datetime
    now: datetime
    draining: bool
    degraded: tuple[tuple[str, str], ...]
    """(machine word, sentence) of everything that is not well; empty when the daemon is well."""
    problems: tuple[str, ...]
    """Problems of definitions that are not in force, and warnings of settings."""
    last_reload_at: datetime
    last_reload_ok: bool
    workers: tuple[WorkerView, ...]
    workers_max: int
    metrics_address: str | None
    socket: str
    state_dir: str
    containment: str
    """`cgroup`, or `process group and subreaper`: what reaches the processes of an attempt."""
    timezone: str
    runs_as: str = "root"
    """The user that jobd is, and whose every job is where that is not root."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """The limits of a queue that are in force, how far its rate limit is used up, and what was set of them."""

    name: str
    limits: Limits = NO_LIMITS
    use: Use | None = None
    asked: QueueSet | None = None
    """What somebody set in place of what jobd.yaml says (`declared`)."""
    declared: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class DefinedJob:
    """A job in force, with where it comes from and when it is due."""

    job: Job
    file: str
    line: int
    timezone: str
    next_at: datetime | None
    sources: Mapping[str, str] = field(default_factory=dict)
    """Effective key → `file:line` it came from (dotted keys)."""
    document: Mapping[str, Any] = field(default_factory=dict)
    """The effective definition in the words of the YAML, for `cat`."""


@dataclass(frozen=True, slots=True)
class Coming:
    """An instant at which a job is going to be due."""

    job: str
    at: datetime
    timezone: str
    remark: str = ""
    """What a person should know of it: a moved clock, a slot that will be kept back; mostly empty."""


class Reads(Protocol):
    """Read-only questions to the store; each answers from one committed state."""

    def run(self, run: int) -> RunRecord | None: ...
    def runs(self, which: RunFilter) -> tuple[list[RunRecord], int | None]:
        """The runs asked for, newest first, and the cursor for the next page if there is one."""
        ...

    def attempts(self, run: int) -> list[AttemptRecord]: ...
    def kin(self, run: int) -> Kinship:
        """The runs that hang together with a run by what waits for what; none where there is no such run."""
        ...

    def durations(self, job: str) -> list[float]:
        """The seconds that the job's last successful runs took."""
        ...

    def samples(
        self, job: str | None, since: datetime, before: int | None, limit: int
    ) -> tuple[list[Sample], int | None]:
        """What counts of those of the newest `limit` runs below an id that were accepted since an instant.

        Also the id to go on below, None where nothing older is of the span.
        """
        ...

    def standings(self) -> dict[str, JobStanding]:
        """What is remembered of every job in force; the same object as the last time where nothing has changed."""
        ...

    def standing(self, job: str) -> JobStanding | None: ...
    def job_counts(self) -> JobCounts:
        """How many of the jobs in force stand in a way that somebody should look at."""
        ...

    def queues(self, now: datetime) -> dict[str, QueueFigures]: ...
    def paused_queues(self) -> Mapping[str, Pause]:
        """The pauses of queues, in force or over; `*` stands for all queues and all slots."""
        ...

    def dead_letters(self, which: DeadFilter) -> tuple[list[DeadLetter], int | None]:
        """Open dead letters, the latest run first, and the cursor for the next page if there is one."""
        ...

    def dead_figures(self) -> list[DeadFigures]: ...
    def deaths(self, run: int) -> list[Death]: ...
    def slots(
        self,
        job: str | None,
        start: datetime | None,
        end: datetime | None,
        limit: int,
        cursor: str | None,
        disposition: Disposition | None = None,
    ) -> tuple[list[SlotRecord], str | None]:
        """What became of due slots, newest first, and the next cursor. Raises ValueError for a bad cursor."""
        ...

    def audit(self, before: int | None, since: datetime | None, user: str | None, limit: int) -> list[Kept]:
        """Entries of the audit trail below a number, newest first."""
        ...

    def audit_after(self, number: int, limit: int) -> list[Kept]: ...
    def audit_anchor(self) -> bytes:
        """What the oldest entry of the audit trail is linked to."""
        ...


class Outputs(Protocol):
    """The captured output of attempts, as bytes."""

    def read(self, run: int, attempt: int, stream: str, offset: int, limit: int) -> tuple[bytes, int, bool]:
        """Bytes of `stdout` or `stderr` from `offset` of what the attempt wrote.

        Returns (bytes, next offset, ended): `ended` says that nothing will follow. Where output was cut, a marker line
        stands for the missing part and the next offset lies behind it.
        """
        ...


class Recent(Protocol):
    """What happened lately, numbered; only the newest few thousand events are kept."""

    @property
    def first(self) -> int:
        """The number of the oldest event that is kept; one more than `last` where there is none."""
        ...

    @property
    def last(self) -> int: ...
    def after(self, number: int, limit: int) -> list[tuple[int, Event]]: ...
    def moved(self) -> asyncio.Future[None]:
        """Done at the next event; shared between callers, so never cancelled."""
        ...


class Desk(Protocol):
    """Where the control edge hands things in and looks things up."""

    async def ask(self, intent: Intent) -> Any:
        """The durable answer to an intent, after its commit. Raises a JobdError where it is refused.

        A client that hangs up cancels the await; the intent stands, and the answer then has nobody to go to.
        """
        ...

    async def reload(self, *, dry_run: bool) -> Reloaded: ...
    def backup(self) -> AbstractAsyncContextManager[int]:
        """A descriptor to read a sound copy of the database from. Raises Unavailable where none can be made."""
        ...

    def drain(self) -> None:
        """Begin to end, as at SIGTERM."""
        ...

    async def prune(self) -> Pruned:
        """Let the history forget what its retention says, now. Raises Unavailable where it cannot be written."""
        ...

    def denied(self, who: Actor, what: str, why: str) -> None:
        """Keep in the audit trail that somebody asked for what they may not."""
        ...

    def masker(self, run: int) -> Masker:
        """What takes the secrets of a run, and what looks like one, out of text."""
        ...

    def payload_faults(self, job: Job, payload: Json) -> list[tuple[list[str | int], str]]:
        """Everything that the job's payload_schema finds wrong: the steps to each value, and a message."""
        ...

    def overview(self) -> Overview: ...
    def jobs(self) -> Mapping[str, DefinedJob]: ...
    async def coming(
        self, job: str | None, count: int, start: datetime | None = None, end: datetime | None = None
    ) -> list[Coming]:
        """The first `count` slots after `start` (now) and not after `end`, of one job or of all, earliest first."""
        ...

    def why_job(self, name: str, at: str | None) -> Mapping[str, Any]:
        """Why a job is not running now, or what became of its slot at an instant (observe/why).

        `at` is RFC 3339, or a local time of the job's zone. Raises NotFound, and Invalid for an `at` that is none.
        """
        ...

    def why_run(self, run: int) -> Mapping[str, Any]:
        """Why a run waits, or how it goes and how it ended. Raises NotFound."""
        ...

    def channels(self) -> list[tuple[str, str, str]]:
        """Name, kind and built-in job of each channel, by name."""

    def queue_limits(self) -> Mapping[str, QueueLimits]: ...
    def health(self, queue: str | None = None) -> Mapping[str, Any]:
        """The health report, of one queue or of all (observe/health.py). Raises NotFound for an unknown queue."""
        ...

    def signal(self, run: int, number: int) -> tuple[int, list[int]]:
        """Signal the processes of the run's attempt: its number, and the pids reached. Raises Conflict."""
        ...

    def spoken(self, run: int) -> tuple[float | None, str] | None:
        """How far the run's attempt says it is (0 to 1) and what it does; None where it says nothing or is over."""
        ...

    def finished(self, run: int) -> asyncio.Future[None]:
        """Done as soon as the run may have become final: look again then.

        May be shared between callers: the control edge never cancels it, and forgets it when its client goes.
        """
        ...

    def changed(self, run: int) -> asyncio.Future[None]:
        """Done as soon as an attempt of the run may have started or ended: look again then."""
        ...

    @property
    def reads(self) -> Reads: ...
    @property
    def outputs(self) -> Outputs: ...
    @property
    def recent(self) -> Recent: ...
    @property
    def policy(self) -> Policy: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that bound what clients may ask."""

    max_payload_bytes: int = 64 * 1024
    max_queued_per_user: int = 100_000
    resources: Mapping[str, int] = field(default_factory=dict)
    """How much there is of what runs use up while they run."""
    max_submits_per_second: int | None = None
    strict_queues: bool = False
    allowlist: Allowlist | None = None
    """The programs that `shell` and `command` may run; None or an empty one is any."""
    adhoc: str = "submitter"
    """Who may submit ad-hoc commands: off, admin, operator or submitter."""
    defaults: Job | None = None
    """A job that carries jobd.yaml's defaults, as the template of ad-hoc runs."""

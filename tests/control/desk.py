"""A desk in memory: the port of the control edge with plain dictionaries behind it, for tests of the edge alone."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jobd.control.app import build
from jobd.control.connections import Limits
from jobd.control.listen import bind
from jobd.control.ports import Coming, DefinedJob, Overview, Policy, QueueLimits, Reloaded, WorkerView
from jobd.control.reception import Reception, receive
from jobd.core import intents, queues
from jobd.core.audit import Kept
from jobd.core.buckets import Level, Rate, Use
from jobd.core.errors import Conflict, JobdError, NotFound
from jobd.core.holds import Pause
from jobd.core.intents import Accepted, Actor, CancelRun, DropDead, Handled, Intent, RetryDead, RetryRun, Submit
from jobd.core.masking import Masker
from jobd.core.model import Command, Job, RetryPolicy, RunRequest, Schedule
from jobd.core.queues import QueueSet
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
    Relative,
    RunFilter,
    RunRecord,
    SlotRecord,
)
from jobd.core.retention import Pruned
from jobd.core.roles import Roles
from jobd.core.states import Condition, Disposition, Outcome, RunState, Trigger
from jobd.core.stats import Sample
from jobd.definitions import payloads
from jobd.observe.recent import Recent

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_RATE = Rate(100, 60, 100)
EMAIL = QueueLimits("email", queues.Limits(4, _RATE), Use(_RATE, Level(37.0, NOW)), declared=queues.Limits(4, _RATE))


def job(name: str, **values: Any) -> DefinedJob:
    made = Job(name=name, action=Command(("/bin/true",)), **values)
    return DefinedJob(
        job=made,
        file="/etc/jobd/jobs.d/a.yaml",
        line=3,
        timezone="Europe/Madrid",
        next_at=NOW + timedelta(hours=1),
        document={"command": ["/bin/true"], "env": {"TOKEN": "s3cret"}},
        sources={"command": "/etc/jobd/jobs.d/a.yaml:4"},
    )


def record(run: int, request: RunRequest, state: RunState = RunState.QUEUED) -> RunRecord:
    return RunRecord(
        id=run,
        job=request.job.name,
        state=state,
        queue=request.queue,
        priority=request.priority,
        payload=request.payload,
        result=None,
        error=None,
        attempts=0,
        max_attempts=request.max_attempts,
        trigger=request.trigger,
        slot=None,
        run_at=request.run_at or NOW,
        created_at=NOW,
        started_at=None,
        finished_at=None,
        exit_code=None,
        outcome=None,
        key=request.key,
        parent=None,
        owner=request.owner,
        spec_version="0123456789ab",
        adhoc=request.adhoc,
        cancelling=False,
        trace=request.trace,
        argv=request.job.action.argv if request.adhoc and isinstance(request.job.action, Command) else None,
    )


@dataclass
class Wakes:
    """Futures by run that are all done, and forgotten, when the run is woken."""

    waiting: dict[int, list[asyncio.Future[None]]] = field(default_factory=dict)

    def future(self, run: int) -> asyncio.Future[None]:
        made = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(run, []).append(made)
        return made

    def wake(self, run: int) -> None:
        for one in self.waiting.pop(run, []):
            if not one.done():
                one.set_result(None)


@dataclass
class MemoryReads:
    records: dict[int, RunRecord] = field(default_factory=dict)
    tries: dict[int, list[AttemptRecord]] = field(default_factory=dict)
    pauses: dict[str, Pause] = field(default_factory=dict)
    trail: list[Kept] = field(default_factory=list)

    def audit(self, before: int | None, since: datetime | None, user: str | None, limit: int) -> list[Kept]:
        return [kept for kept in reversed(self.trail) if user in (None, kept.entry.user)][:limit]

    def audit_after(self, number: int, limit: int) -> list[Kept]:
        return [kept for kept in self.trail if kept.id > number][:limit]

    def audit_anchor(self) -> bytes:
        return b""

    def run(self, run: int) -> RunRecord | None:
        return self.records.get(run)

    def runs(self, which: RunFilter) -> tuple[list[RunRecord], int | None]:
        found = [
            one
            for one in sorted(self.records.values(), key=lambda one: -one.id)
            if (which.before is None or one.id < which.before)
            and (which.job is None or one.job == which.job)
            and (which.queue is None or one.queue == which.queue)
            and (not which.states or one.state in which.states)
            and (which.since is None or one.created_at >= which.since)
        ]
        page = found[: which.limit]
        return page, page[-1].id if len(found) > which.limit else None

    def attempts(self, run: int) -> list[AttemptRecord]:
        return list(self.tries.get(run, []))

    def kin(self, run: int) -> Kinship:
        """Every run hangs on the one before it."""
        found = tuple(_relative(one) for one in self.records.values())
        links = ((one.id, one.id + 1, Condition.SUCCESS, None) for one in found[:-1])
        return Kinship(found, tuple(links), is_cut=False)

    def durations(self, job: str) -> list[float]:
        return [1.0, 2.0, 9.0] if job == "backup" else []

    def samples(
        self, job: str | None, since: datetime, before: int | None, limit: int
    ) -> tuple[list[Sample], int | None]:
        found = [one for one in self.records.values() if job in (None, one.job) and (before is None or one.id < before)]
        page = sorted(found, key=lambda one: -one.id)[:limit]
        made = [
            Sample(one.job, one.queue, one.state, one.attempts, 1.0, 2.0) for one in page if one.created_at >= since
        ]
        return made, page[-1].id if made and len(page) == limit else None

    def standings(self) -> dict[str, JobStanding]:
        return {}

    def standing(self, job: str) -> JobStanding | None:
        return None

    def job_counts(self) -> JobCounts:
        return JobCounts(failed=1, paused=0, circuit_open=0)

    def queues(self, now: datetime) -> dict[str, QueueFigures]:
        counts: dict[str, dict[RunState, int]] = {}
        for one in self.records.values():
            states = counts.setdefault(one.queue, {})
            states[one.state] = states.get(one.state, 0) + 1
        return {name: QueueFigures(name, states, None, 0, 0, 0, None) for name, states in counts.items()}

    def paused_queues(self) -> dict[str, Pause]:
        return dict(self.pauses)

    def dead_letters(self, which: DeadFilter) -> tuple[list[DeadLetter], int | None]:
        found = [
            DeadLetter(one.id, one.job, one.queue, "exit status 1", NOW, 3, Outcome.FAILED, 1, one.owner)
            for one in sorted(self.records.values(), key=lambda one: -one.id)
            if one.state is RunState.FAILED
            and (not which.runs or one.id in which.runs)
            and (which.owner is None or one.owner == which.owner)
            and (which.before is None or one.id < which.before)
        ]
        page = found[: which.limit]
        return page, page[-1].run if len(found) > which.limit else None

    def dead_figures(self) -> list[DeadFigures]:
        return [DeadFigures("default", "backup", 2, NOW, NOW)]

    def deaths(self, run: int) -> list[Death]:
        return [Death("exit status 1", NOW, 3, "default", None, None, None)]

    def slots(
        self,
        job: str | None,
        start: datetime | None,
        end: datetime | None,
        limit: int,
        cursor: str | None,
        disposition: Disposition | None = None,
    ) -> tuple[list[SlotRecord], str | None]:
        if cursor is not None:
            raise ValueError("a bad cursor")
        found = SlotRecord(job or "backup", NOW, Disposition.STARTED, 1, "", RunState.FAILED, Outcome.TIMEOUT, 124)
        return [found] if disposition in (None, found.disposition) else [], None


def _relative(one: RunRecord) -> Relative:
    return Relative(
        id=one.id,
        job=one.job,
        state=one.state,
        outcome=one.outcome,
        exit_code=one.exit_code,
        error=one.error,
        owner=one.owner,
        attempts=one.attempts,
        run_at=one.run_at,
        started_at=one.started_at,
        finished_at=one.finished_at,
    )


@dataclass
class MemoryOutputs:
    written: dict[tuple[int, int, str], bytearray] = field(default_factory=dict)
    closed: set[tuple[int, int]] = field(default_factory=set)

    def read(self, run: int, attempt: int, stream: str, offset: int, limit: int) -> tuple[bytes, int, bool]:
        whole = self.written.get((run, attempt, stream), bytearray())
        chunk = bytes(whole[offset : offset + limit])
        following = offset + len(chunk)
        return chunk, following, (run, attempt) in self.closed and following >= len(whole)


@dataclass
class MemoryDesk:
    """Accepts at once, runs nothing; a test moves its runs along."""

    policy: Policy = field(default_factory=Policy)
    roles: Roles = field(default_factory=dict)
    reads: MemoryReads = field(default_factory=MemoryReads)
    outputs: MemoryOutputs = field(default_factory=MemoryOutputs)
    defined: dict[str, DefinedJob] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    intents: list[Intent] = field(default_factory=list)
    refusal: JobdError | Exception | None = None
    ended: Wakes = field(default_factory=Wakes)
    moved: Wakes = field(default_factory=Wakes)
    remember: bool = True
    drained: bool = False
    masking: Masker = field(default_factory=lambda: Masker(["password"]))
    said: dict[int, tuple[float | None, str]] = field(default_factory=dict)
    signals: list[tuple[int, int]] = field(default_factory=list)
    denials: list[tuple[str, str]] = field(default_factory=list)
    recent: Recent = field(default_factory=lambda: Recent(NOW))
    email: QueueLimits = EMAIL

    def __post_init__(self) -> None:
        self.defined = self.defined or {
            "backup": job("backup", schedule=Schedule(("30 2 * * *",))),
            "send-mail": job("send-mail", queue="email", priority=5, payload={"template": "plain"}),
            "stubborn": job("stubborn", retry=RetryPolicy(max_attempts=7)),
            "off": job("off", enabled=False),
        }

    @asynccontextmanager
    async def backup(self) -> AsyncIterator[int]:
        with tempfile.TemporaryFile() as file:
            file.write(b"database")
            file.flush()
            yield file.fileno()

    def drain(self) -> None:
        self.drained = True

    def denied(self, who: Actor, what: str, why: str) -> None:
        self.denials.append((who.user, what))

    async def ask(self, intent: Intent) -> Any:
        if self.refusal is not None:
            raise self.refusal
        self.intents.append(intent)
        match intent:
            case Submit(requests=requests):
                return [self._accept(one) for one in requests]
            case CancelRun(run=run):
                return self.move(run, RunState.CANCELLED)
            case RetryRun(run=run):
                if not self.reads.records[run].state.is_final:
                    raise Conflict(f"run {run} is {self.reads.records[run].state}; only a final run is retried")
                return self.move(run, RunState.QUEUED)
            case intents.Resume(name=held):
                return self.reads.pauses.pop(held, None) is not None
            case intents.SetQueue(actor=who, change=change):
                self.email = replace(self.email, asked=QueueSet(change.applied({}), NOW, who.user))
                return None
            case intents.TestChannel():
                return Accepted(1, "queued")
            case intents.SkipNext():
                return [NOW]
            case intents.CancelJob():
                return Handled((1, 2))
            case RetryDead(which=which) | DropDead(which=which):
                return Handled(which.runs)

    def masker(self, run: int) -> Masker:
        return self.masking

    def spoken(self, run: int) -> tuple[float | None, str] | None:
        return self.said.get(run)

    def signal(self, run: int, number: int) -> tuple[int, list[int]]:
        if not self.reads.tries.get(run):
            raise Conflict(f"run {run} has no attempt under way")
        self.signals.append((run, number))
        return len(self.reads.tries[run]), [4711]

    def payload_faults(self, job: Job, payload: Any) -> list[tuple[list[str | int], str]]:
        return [] if job.payload_schema is None else payloads.faults(job.payload_schema, payload)

    def _accept(self, request: RunRequest) -> Accepted:
        if request.key in self.keys:
            held = self.reads.records[self.keys[request.key]]
            return Accepted(held.id, held.state, duplicate=True)
        if not self.remember:
            return Accepted(1, "queued")
        made = record(len(self.reads.records) + 1, request)
        self.reads.records[made.id] = made
        if request.key:
            self.keys[request.key] = made.id
        return Accepted(made.id, made.state)

    def move(self, run: int, state: RunState) -> RunState:
        self.reads.records[run] = replace(self.reads.records[run], state=state)
        self.ended.wake(run)
        self.moved.wake(run)
        return state

    def start_attempt(self, run: int) -> None:
        had = self.reads.tries.setdefault(run, [])
        had.append(AttemptRecord(run, len(had) + 1, NOW, NOW, None, None, None, None, None, 10, 11, None))
        self.reads.records[run] = replace(self.reads.records[run], state=RunState.RUNNING, attempts=len(had))
        self.moved.wake(run)

    def end_attempt(self, run: int) -> None:
        had = self.reads.tries[run]
        had[-1] = replace(had[-1], finished_at=NOW, outcome=Outcome.SUCCEEDED, exit_code=0)
        self.move(run, RunState.SUCCEEDED)

    def write(self, run: int, data: bytes, stream: str = "stdout", attempt: int = 1) -> None:
        self.outputs.written.setdefault((run, attempt, stream), bytearray()).extend(data)

    async def reload(self, *, dry_run: bool) -> Reloaded:
        return Reloaded(added=("new",), dry_run=dry_run)

    async def prune(self) -> Pruned:
        return Pruned(runs=3, slots=2)

    def overview(self) -> Overview:
        return Overview(
            version="0.1.0",
            pid=1,
            started_at=NOW,
            now=NOW + timedelta(seconds=90),
            draining=False,
            degraded=(),
            problems=(),
            last_reload_at=NOW,
            last_reload_ok=True,
            workers=(WorkerView(1, 99, "busy", 1, 1, NOW), WorkerView(2, 98, "idle")),
            workers_max=4,
            metrics_address="127.0.0.1:9764",
            socket="/run/jobd/jobd.sock",
            state_dir="/var/lib/jobd",
            containment="cgroup",
            timezone="Europe/Madrid",
        )

    def jobs(self) -> Mapping[str, DefinedJob]:
        return self.defined

    async def coming(
        self, job: str | None, count: int, start: datetime | None = None, end: datetime | None = None
    ) -> list[Coming]:
        days = [(start or NOW) + timedelta(days=day) for day in range(count)]
        return [Coming(job or "backup", at, "Europe/Madrid") for at in days if end is None or at <= end]

    def why_job(self, name: str, at: str | None) -> Mapping[str, Any]:
        if name not in self.defined:
            raise NotFound(f'there is no job "{name}"')
        return {"subject": name, "reason": "not_due", "detail": f"asked at {at}", "blockers": [], "until": None}

    def why_run(self, run: int) -> Mapping[str, Any]:
        if run not in self.reads.records:
            raise NotFound(f"there is no run {run}")
        return {"subject": f"run {run}", "reason": "starting", "detail": "", "blockers": [], "until": None}

    def channels(self) -> list[tuple[str, str, str]]:
        return [("ops", "email", "jobd.notify.ops")]

    def queue_limits(self) -> Mapping[str, QueueLimits]:
        return {"default": QueueLimits("default", queues.Limits(8)), "email": self.email}

    def health(self, queue: str | None = None) -> Mapping[str, Any]:
        if queue not in (None, "default"):
            raise NotFound(f'there is no queue "{queue}"')
        return {"healthy": True, "queues": {}}

    def finished(self, run: int) -> asyncio.Future[None]:
        return self.ended.future(run)

    def changed(self, run: int) -> asyncio.Future[None]:
        return self.moved.future(run)


def submitted(desk: MemoryDesk, job_name: str = "backup", owner: str | None = "root", **values: Any) -> int:
    """A run that is simply there."""
    request = RunRequest(job=desk.defined[job_name].job, trigger=Trigger.SUBMIT, owner=owner, **values)
    made = record(len(desk.reads.records) + 1, request)
    desk.reads.records[made.id] = made
    return made.id


@asynccontextmanager
async def serving(desk: MemoryDesk, path: str, **limits: Any) -> AsyncIterator[Reception]:
    """The real server on a real socket, until the block ends."""
    listening = bind(path)
    reception = await receive(listening, build(desk), roles=lambda: desk.roles, limits=Limits(**limits))
    try:
        yield reception
    finally:
        await reception.close()

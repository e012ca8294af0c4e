"""What the control edge meets: it hands intents to the engine and answers look-ups from memory and the reader."""

from __future__ import annotations

import asyncio
import heapq
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from jobd import __version__
from jobd.control.ports import (
    Coming,
    DefinedJob,
    Overview,
    Policy,
    QueueLimits,
    Reloaded,
    WorkerView,
)
from jobd.core import lateness
from jobd.core.errors import Conflict, NotFound
from jobd.core.intents import Actor, Intent
from jobd.core.masking import Masker
from jobd.core.model import AttemptKey, Job, Json
from jobd.core.records import AttemptRecord, JobStanding, QueueFigures
from jobd.core.retention import Pruned
from jobd.definitions import payloads
from jobd.definitions.catalog import diff
from jobd.observe import health
from jobd.observe.figures import Figures, JobFigures, Lane
from jobd.observe.recent import Recent
from jobd.observe.series import MOST_SERIES
from jobd.store import backup
from jobd.store.history import History
from jobd.supervisor import upcoming
from jobd.supervisor.keeper import Keeper
from jobd.supervisor.reasons import Reasons
from jobd.supervisor.shown import Shown
from jobd.work.accounts import own_account


@dataclass(frozen=True, slots=True)
class Outputs:
    """Captured output, with the store's word on whether an attempt still runs."""

    keeper: Keeper

    def read(self, run: int, attempt: int, stream: str, offset: int, limit: int) -> tuple[bytes, int, bool]:
        # Asked before reading: what an attempt wrote before it ended is there to be read after it has.
        runs = _is_running(self.keeper.history.attempts(run), attempt)
        return self.keeper.outputs.read(run, attempt, stream, offset, limit, is_running=runs)


def _is_running(attempts: list[AttemptRecord], attempt: int) -> bool:
    return any(one.attempt == attempt and one.outcome is None for one in attempts)


class Desk:
    """Implements `control.ports.Desk` over the parts that the keeper holds."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._backing_up = asyncio.Lock()
        self.outputs = Outputs(keeper)
        self._reasons = Reasons(keeper)
        self._shown = Shown(keeper)

    @property
    def reads(self) -> History:
        return self._keeper.history

    @property
    def recent(self) -> Recent:
        return self._keeper.recent

    @property
    def policy(self) -> Policy:
        settings = self._keeper.settings
        return Policy(
            max_payload_bytes=settings.max_payload_bytes,
            max_queued_per_user=settings.max_queued_per_user,
            resources=settings.resources,
            max_submits_per_second=settings.max_submits_per_second,
            strict_queues=settings.strict_queues,
            allowlist=settings.allowlist,
            adhoc=settings.adhoc,
            defaults=self._keeper.template,
        )

    async def ask(self, intent: Intent) -> Any:
        return await self._keeper.engine.ask(intent)

    def denied(self, who: Actor, what: str, why: str) -> None:
        self._keeper.denials.take(who, what, why)

    def signal(self, run: int, number: int) -> tuple[int, list[int]]:
        keeper = self._keeper
        attempts = keeper.history.attempts(run)
        if not attempts or attempts[-1].outcome is not None:
            raise Conflict(f"run {run} has no attempt under way; try again in a moment")
        key = AttemptKey(run, attempts[-1].attempt)
        pids = keeper.pool.signal(key, number)
        if pids is None:
            raise Conflict(
                f"attempt {key.attempt} of run {run} has no process of its own now: it starts, ends, or is a callable "
                "inside a worker (isolate: true gives it one); cancel ends it in any case"
            )
        return key.attempt, pids

    def spoken(self, run: int) -> tuple[float | None, str] | None:
        said = self._keeper.spoken.get(run)
        return said and (said[0], self._keeper.masker(run).text(said[1]) if said[1] else "")

    def finished(self, run: int) -> asyncio.Future[None]:
        return self._keeper.engine.finished.of(run)

    def changed(self, run: int) -> asyncio.Future[None]:
        return self._keeper.engine.changed.of(run)

    async def reload(self, *, dry_run: bool) -> Reloaded:
        """Read the definitions anew; answered when the change is in force and durable."""
        keeper = self._keeper
        if dry_run:
            found, preview = keeper.settings_file.preview()
            change = diff(keeper.library.catalog, preview)
            problems = tuple(map(str, (*keeper.settings_file.problems, *preview.problems)))
            return Reloaded(
                change.added, change.changed, change.removed, problems, found.changed, found.waiting, dry_run=True
            )
        resettled, made = await keeper.reload()
        return Reloaded(
            made.added,
            made.changed,
            made.removed,
            tuple(map(str, keeper.problems)),
            resettled.changed,
            resettled.waiting,
        )

    @asynccontextmanager
    async def backup(self) -> AsyncIterator[int]:
        database, copy = self._keeper.settings.database, os.path.join(self._keeper.settings.state_dir, "backup.db")
        async with self._backing_up:
            with suppress(FileNotFoundError):
                os.unlink(copy)  # of a jobd that was killed meanwhile
            await asyncio.to_thread(backup.copy, database, copy)
            descriptor = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
            os.unlink(copy)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def drain(self) -> None:
        self._keeper.drain()

    async def prune(self) -> Pruned:
        return await self._keeper.prune_now()

    def jobs(self) -> Mapping[str, DefinedJob]:
        return self._shown.now()

    async def coming(
        self, job: str | None, count: int, start: datetime | None = None, end: datetime | None = None
    ) -> list[Coming]:
        """The first slots after `start` and not after `end`, of one job or of all."""
        keeper = self._keeper
        if job is not None and job not in keeper.in_force:
            raise NotFound(f'there is no job "{job}"')
        jobs = keeper.in_force.values() if job is None else [keeper.in_force[job]]
        now = datetime.now(UTC)
        remark = upcoming.remarks(keeper.history.holds(job), now)
        return await upcoming.coming(jobs, keeper.engine.agenda.at, remark, count, now, start, end)

    def why_job(self, name: str, at: str | None) -> Mapping[str, Any]:
        return self._reasons.of_job(name, at)

    def why_run(self, run: int) -> Mapping[str, Any]:
        return self._reasons.of_run(run)

    def channels(self) -> list[tuple[str, str, str]]:
        lines = self._keeper.engine.rules.bell.lines
        return [(name, line.channel.kind, line.job.job.name) for name, line in sorted(lines.items())]

    def queue_limits(self) -> Mapping[str, QueueLimits]:
        declared = self._keeper.settings.queues
        names = {"default", *declared, *(job.job.queue for job in self._keeper.in_force.values())}
        return self._keeper.allowance.queues(names, datetime.now(UTC))

    def health(self, queue: str | None = None) -> Mapping[str, Any]:
        keeper = self._keeper
        config = health.configuration(keeper.template, keeper.settings.rates, keeper.settings.workers_max)
        return health.report(self._figures({}), config, queue)

    def figures(self) -> Figures:
        """The state of jobd at this moment, for the metrics."""
        keeper = self._keeper
        standings = keeper.history.first_standings(MOST_SERIES)
        shown = heapq.nsmallest(MOST_SERIES, keeper.in_force)
        figures = self._figures({name: self._job_figures(name, standings.get(name)) for name in shown})
        enabled = sum(one.job.enabled for one in keeper.in_force.values())
        return replace(figures, enabled=enabled, disabled=len(keeper.in_force) - enabled)

    def _job_figures(self, name: str, standing: JobStanding | None) -> JobFigures:
        job = self._keeper.in_force[name].job
        return JobFigures(job.enabled, self._keeper.engine.agenda.at(name), standing, lateness.checks(job))

    def _figures(self, jobs: Mapping[str, JobFigures]) -> Figures:
        keeper, now = self._keeper, datetime.now(UTC)
        free, whole = _disk(keeper.settings.state_dir)
        queues, limits = keeper.history.queues(now), self.queue_limits()
        workers: dict[str, int] = {"idle": 0, "busy": 0}
        for view in keeper.pool.views():
            workers[view.state] = workers.get(view.state, 0) + 1
        return Figures(
            now=now,
            jobs=jobs,
            queues={name: _lane(limits.get(name), queues.get(name)) for name in {*limits, *queues}},
            workers=workers,
            degraded=tuple(keeper.degraded.items()),
            definition_errors=len(keeper.library.catalog.problems),
            last_good_reload_at=keeper.last_good_reload_at,
            last_reload_ok=not keeper.problems,
            store_bytes=_size(keeper.settings.database),
            wal_bytes=_size(keeper.settings.database + "-wal"),
            disk_free_bytes=free,
            disk_bytes=whole,
        )

    def masker(self, run: int) -> Masker:
        return self._keeper.masker(run)

    def payload_faults(self, job: Job, payload: Json) -> list[tuple[list[str | int], str]]:
        return payloads.faults_of(job, payload)

    def overview(self) -> Overview:
        keeper = self._keeper
        return Overview(
            version=__version__,
            pid=os.getpid(),
            started_at=keeper.started_at,
            now=datetime.now(UTC),
            draining=keeper.engine.draining,
            degraded=tuple(keeper.degraded.items()),
            problems=(*map(str, keeper.problems), *keeper.settings_file.warnings(), *keeper.warnings),
            last_reload_at=keeper.last_reload_at,
            last_reload_ok=not keeper.problems,
            workers=tuple(
                WorkerView(view.number, view.pid, view.state, view.run, view.attempt, view.since)
                for view in keeper.pool.views()
            ),
            workers_max=keeper.settings.workers_max,
            metrics_address=keeper.metrics_address,
            socket=keeper.settings.socket,
            state_dir=keeper.settings.state_dir,
            containment=keeper.pool.containment,
            timezone=keeper.engine.rules.host.zone,
            runs_as=own_account().name,
        )


def _lane(limits: QueueLimits | None, figures: QueueFigures | None) -> Lane:
    if limits is None:
        return Lane(figures=figures)
    return Lane(limits.limits, limits.use, figures)


def _disk(directory: str) -> tuple[int | None, int | None]:
    """What is free on a directory's disk, and all of it."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return None, None
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # never opened: closing it would drop SQLite's locks
    except OSError:
        return 0

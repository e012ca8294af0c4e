"""Gathers, from memory and the reader, the values over which `observe.why` says why something did not run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from jobd.core import zones
from jobd.core.errors import Invalid, NotFound
from jobd.core.holds import EVERYTHING, CircuitState, Pause
from jobd.core.model import Job
from jobd.core.names import closest
from jobd.core.reasons import run_in
from jobd.core.records import Remembered, RunRecord, SlotRecord
from jobd.core.schedule import Timetable
from jobd.core.standing import Standing, anchor
from jobd.core.states import RunState
from jobd.core.wall import Meant, meant
from jobd.definitions.catalog import Catalog
from jobd.observe.why import jobs, runs, slots
from jobd.observe.why.findings import Blocker, Finding, Hold, Host, clock, shape
from jobd.observe.why.recorded import SlotFacts
from jobd.supervisor.catalogs import InForce
from jobd.supervisor.keeper import Keeper

_NEAR_SECONDS = 60.0
"""A slot up to so much later, and its jitter, is the one that is meant: people name minutes."""
_MOMENT = timedelta(microseconds=1)
_LOOK_BACK = timedelta(days=366)


class Reasons:
    """Answers the questions that `why` asks."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def of_run(self, run: int) -> dict[str, Any]:
        """Why a run has not started, or how it goes and how it ended. Raises NotFound."""
        found = self._keeper.history.run(run)
        if found is None:
            raise NotFound(f"there is no run {run}")
        return shape(f"run {run}", self._run(found))

    def of_job(self, name: str, at: str | None) -> dict[str, Any]:
        """Why a job is not running now, or what became of the slot at an instant. Raises NotFound and Invalid."""
        job = self._keeper.in_force.get(name)
        if job is None:
            return shape(name, self._not_in_force(name))
        if at is None:
            return shape(name, jobs.why(self._job_facts(job)))
        zone = zones.zone(self._zone_of(job.job))
        try:
            facts = self._slot_facts(job, meant(at, zone, datetime.now(UTC)))
        except (ValueError, OverflowError) as error:
            raise Invalid(f"at: {error}", [("at", str(error))]) from None
        return shape(slots.subject(facts), slots.why(facts))

    # Runs

    def _run(self, run: RunRecord) -> Finding:
        return runs.why(self._run_facts(run))

    def _run_facts(self, run: RunRecord) -> runs.RunFacts:
        keeper, history = self._keeper, self._keeper.history
        job = None if run.adhoc else keeper.in_force.get(run.job)
        host = self._host(None)
        if run.state is not RunState.QUEUED:
            return runs.RunFacts(host, run, worker=self._worker_of(run.id), waits=history.waits(run.id))
        terms, allowance = history.terms_of(run.id), keeper.allowance
        limit = job.job.running_limit if job else terms.running_limit
        return runs.RunFacts(
            host,
            run,
            queue_limit=allowance.of_queue(run.queue).max_running,
            queue_running=history.running_in(run.queue),
            job_limit=limit,
            job_running=history.active_of(run.job)[1] if limit is not None else (),
            ahead=history.ahead_of(run),
            dry=allowance.dry(run.queue, run.job, terms, host.now),
            short=allowance.short(terms),
            holds=self._holds(None if run.adhoc else run.job, run.queue),
        )

    def _worker_of(self, run: int) -> int | None:
        return next((view.number for view in self._keeper.pool.views() if view.run == run), None)

    # Jobs

    def _job_facts(self, job: InForce) -> jobs.JobFacts:
        keeper, history, name = self._keeper, self._keeper.history, job.job.name
        waiting, running = history.active_of(name)
        oldest = history.run(running[0]) if running else None
        waits = history.run(waiting[0]) if waiting and not running else None
        newest, _ = history.slots(name, None, datetime.now(UTC), 1, None)
        return jobs.JobFacts(
            self._host(job.job),
            job.job,
            place=f"{job.defined.file}:{job.defined.line}",
            late=standing.late if (standing := history.standing(name)) else (),
            next_at=keeper.engine.agenda.at(name),
            running=running,
            running_since=oldest.started_at if oldest else None,
            waiting=waiting,
            waits=self._run(waits) if waits else None,
            newest=newest[0] if newest else None,
            on_boot=job.timetable is not None and job.timetable.has_boot,
            holds=self._holds(name, job.job.queue),
            problems=_problems(keeper.library.catalog, job.defined.file),
        )

    def _not_in_force(self, name: str) -> Finding:
        """Why a job that is not in force is not. Raises NotFound for one that never was."""
        keeper = self._keeper
        told = [str(one) for one in keeper.library.catalog.problems if _names(one.path, name)]
        if told:
            blockers = tuple(Blocker("file", None, problem) for problem in told)
            return Finding("definition_broken", f"it is not in force, because of its definition: {told[0]}", blockers)
        known = keeper.history.remembered(name)
        if known is None or known.removed_at is None:
            near = closest(name, keeper.in_force)
            raise NotFound(f'there is no job "{name}"' + (f' (did you mean "{near}"?)' if near else ""))
        when = clock(known.removed_at, self._host(None).zone)
        return Finding("removed", f"it is defined nowhere since {when}: its history stays, but it does not fire")

    def _holds(self, job: str | None, queue: str) -> tuple[Hold, ...]:
        """The pauses in force and the open circuit that keep a job, or a run of a queue, from starting."""
        history, now = self._keeper.history, datetime.now(UTC)
        queues, known = history.paused_queues(), history.holds(job).get(job) if job else None
        found = [_paused("queue", EVERYTHING, queues.get(EVERYTHING))]
        if job is not None and known is not None:
            found.append(_paused("job", job, known.pause))
            if known.circuit.state(now) is not CircuitState.CLOSED:
                found.append(Hold("job", job, "circuit", until=known.circuit.until))
        found.append(_paused("queue", queue, queues.get(queue)))
        return tuple(hold for hold in found if hold is not None)

    def _bar(self, name: str, timetable: Timetable, at: datetime) -> str | None:
        """Why a slot is going to be kept back, as things are now."""
        known = self._keeper.history.holds(name).get(name)
        return timetable.bar(at) or (known.bar(at, datetime.now(UTC)) if known else None)

    # Slots

    def _slot_facts(self, job: InForce, asked: Meant) -> SlotFacts:
        history, name = self._keeper.history, job.job.name
        known = history.remembered(name) or _unknown()
        before, _ = history.slots(name, None, asked.at, 1, None)
        after = history.slots_from(name, asked.at, 2)
        nearest = asked.at + timedelta(seconds=_NEAR_SECONDS + job.job.schedule.jitter_seconds)
        row = after[0] if after and after[0].slot < nearest else None
        timetable = job.timetable or self._timetable(job)
        due = row.slot if row else _due(timetable, known, asked.at, nearest)
        host = self._host(job.job)
        run = self._run_of(row)
        later = after[1:] if row else after
        return SlotFacts(
            host,
            job.job,
            place=f"{job.defined.file}:{job.defined.line}",
            asked=asked,
            first_seen_at=known.first_seen_at,
            watermark=known.watermark,
            due=due,
            row=row,
            run=run,
            run_waits=self._run(run) if run is not None and not run.state.is_final else None,
            earlier=before[0] if before else None,
            later=later[0] if later else None,
            previous_due=_previous(timetable, known, asked.at),
            next_due=timetable.next_after(asked.at, _anchor(known)) if timetable else None,
            bar=self._bar(name, timetable, due) if timetable and due else None,
            remark=timetable.remark(due) if timetable and due else "",
        )

    def _run_of(self, row: SlotRecord | None) -> RunRecord | None:
        if row is None:
            return None
        run = row.run if row.run is not None else run_in(row.reason)
        return None if run is None else self._keeper.history.run(run)

    def _timetable(self, one: InForce) -> Timetable | None:
        """When a disabled job would be due; one that jobd died of is not looked into again."""
        job, rules = one.job, self._keeper.engine.rules
        if not job.schedule.expressions or rules.quarantine.objects(one.defined):
            return None
        return Timetable(job.schedule, rules.host.zone, job.name)

    def _zone_of(self, job: Job | None) -> str:
        return (job.schedule.timezone if job else None) or self._keeper.engine.rules.host.zone

    def _host(self, job: Job | None) -> Host:
        engine, views = self._keeper.engine, self._keeper.pool.views()
        return Host(
            now=datetime.now(UTC),
            zone=zones.zone(self._zone_of(job)),
            draining=engine.draining,
            storage_problem=engine.storage_problem,
            workers_busy=sum(view.run is not None for view in views),
            workers_max=self._keeper.settings.workers_max,
        )


def _due(timetable: Timetable | None, known: Remembered, at: datetime, until: datetime) -> datetime | None:
    """The first slot that the schedule has from `at` up to before `until`; intervals know none of the past."""
    due = timetable.next_after(at - _MOMENT, _anchor(known)) if timetable else None
    return due if due is not None and due < until else None


def _previous(timetable: Timetable | None, known: Remembered, at: datetime) -> datetime | None:
    if timetable is None or timetable.is_interval:
        return None
    found = timetable.newest(at - _LOOK_BACK, at - _MOMENT, 1, _anchor(known))
    return found[-1] if found else None


def _anchor(known: Remembered) -> datetime:
    return anchor(Standing(known.first_seen_at, known.watermark, known.last_slot))


def _unknown() -> Remembered:
    now = datetime.now(UTC)
    return Remembered(now, now, None, None)


def _paused(kind: str, name: str, pause: Pause | None) -> Hold | None:
    if pause is None or not pause.in_force:
        return None
    return Hold(kind, name, "paused", pause.by, pause.note, pause.at, pause.until)


def _problems(catalog: Catalog, file: str) -> tuple[str, ...]:
    """What is wrong with a file, its drop-ins included."""
    return tuple(
        str(one) for one in catalog.problems if one.place.file == file or one.place.file.startswith(f"{file}.d/")
    )


def _names(path: str, job: str) -> bool:
    return path == f"jobs.{job}" or path.startswith((f"jobs.{job}.", f"jobs.{job}["))

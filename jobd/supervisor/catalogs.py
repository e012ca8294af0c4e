"""Puts a catalog in force: what it changes is written in a tick's transaction and remembered after its commit."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime

from jobd.core import due, spec
from jobd.core.model import Job
from jobd.core.schedule import Timetable
from jobd.definitions.catalog import Catalog, Defined
from jobd.store import jobs
from jobd.store.connection import Transaction
from jobd.store.runs import JobRef


@dataclass(frozen=True, slots=True)
class AdoptCatalog:
    """Put these jobs in force and no others. Answer: a Change."""

    catalog: Catalog
    versions: Mapping[str, str] | None = None
    """Where the zone database is another one: what slots are worked out by now. Every timetable is made anew."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An unchanged job whose next slot is another one although the clock alone decides it."""

    name: str
    before: datetime
    now: datetime | None


@dataclass(frozen=True, slots=True)
class Host:
    """What of the host has a say in when jobs are due."""

    zone: str
    """Its time zone."""
    boot_id: str = ""
    """What names this start of it."""


@dataclass(frozen=True, slots=True)
class InForce:
    """A job in force: its definition, where it stands in the store, and when it is due."""

    defined: Defined
    ref: JobRef
    timetable: Timetable | None
    """None for a job without a schedule, and for a disabled one."""

    @property
    def job(self) -> Job:
        return self.defined.job


@dataclass(frozen=True, slots=True)
class Change:
    """What a catalog changes, and the jobs in force afterwards."""

    catalog: Catalog
    in_force: Mapping[str, InForce]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    next_slots: tuple[tuple[str, datetime | None], ...]
    moved: tuple[Moved, ...] = ()


def compare(old: Mapping[str, Job | None], new: Mapping[str, Job]) -> tuple[list[str], list[str], list[str]]:
    """The names added, changed and removed between two sets of jobs."""
    added = [name for name in new if name not in old]
    changed = [name for name, job in new.items() if name in old and old[name] != job]
    removed = [name for name in old if name not in new]
    return added, changed, removed


def starts_afresh(old: Job | None, new: Job) -> bool:
    """Whether a changed job owes nothing before now: its slots moved, or it was switched off."""
    if old is None or (new.enabled and not old.enabled):
        return True
    return _slots(old) != _slots(new)


def _slots(job: Job) -> tuple[object, ...]:
    """What decides the slots of a job; nothing else of a changed job moves them."""
    schedule = job.schedule
    return (
        schedule.expressions,
        schedule.timezone,
        schedule.day_match,
        schedule.dst_gap,
        schedule.dst_overlap,
        schedule.jitter_seconds,
    )


def last_good(catalog: Catalog, stored: Mapping[str, jobs.Stored]) -> list[Defined]:
    """The jobs that the last supervisor had in force out of files that are broken now."""
    return [
        Defined(one.job, one.file, 1, 1, spec.to_text(one.job), "")
        for name, one in stored.items()
        if one.job is not None and name not in catalog.jobs and one.file in catalog.bad_files
    ]


def adopt(
    tx: Transaction,
    catalog: Catalog,
    before: Mapping[str, InForce],
    stored: Mapping[str, Job | None],
    host: Host,
    *,
    anew: bool = False,
) -> Change:
    """Write down a catalog: `before` is in force now, `stored` in the store (the same but at boot).

    `anew`: what was worked out of the zone database holds no more.
    """
    new = {name: defined.job for name, defined in catalog.jobs.items()}
    added, changed, removed = compare(stored, new)
    for name in removed:
        jobs.remove(tx, name)
    touched = set(added) | set(changed)
    in_force = {}
    for name, defined in catalog.jobs.items():
        known = before.get(name)
        if known is not None and name not in touched and not anew:
            in_force[name] = InForce(defined, known.ref, known.timetable)
        else:
            afresh = name in touched and starts_afresh(stored.get(name), defined.job)
            ref = jobs.adopt(tx, defined.job, defined.file, starts_afresh=afresh, boot_id=host.boot_id)
            in_force[name] = InForce(defined, ref, timetable(defined.job, host.zone))
    wanted = {name for name in in_force if anew or name in touched or name not in before}
    planned, moved = _next_slots(tx, in_force, wanted, touched, host)
    gone = [(name, None) for name in removed]
    return Change(catalog, in_force, tuple(added), tuple(changed), tuple(removed), (*planned, *gone), tuple(moved))


def timetable(job: Job, zone: str) -> Timetable | None:
    """When a job is due; None where it never is."""
    return Timetable(job.schedule, zone, job.name) if job.enabled and job.schedule.expressions else None


def standing_of(timing: jobs.Timing, host: Host) -> due.Standing:
    """How far the slots of a job are decided, by what the store knows and which start of the host this is."""
    return due.Standing(
        timing.first_seen_at,
        timing.watermark,
        timing.last_slot,
        timing.ended_at,
        boot_pending=timing.boot_id is not None and timing.boot_id != host.boot_id,
    )


def _next_slots(
    tx: Transaction, in_force: Mapping[str, InForce], names: Container[str], touched: Container[str], host: Host
) -> tuple[list[tuple[str, datetime | None]], list[Moved]]:
    """When each named job is to be planned next, and the unchanged ones among them whose next slot is another."""
    planned: list[tuple[str, datetime | None]] = []
    moved: list[Moved] = []
    for timing in jobs.timings(tx):
        if timing.name not in names:
            continue
        slots, standing = in_force[timing.name].timetable, standing_of(timing, host)
        at = _next_slot(tx, slots, standing, timing.job)
        if at != timing.next_slot:
            jobs.note_next_slot(tx, timing.job, at)
            if timing.next_slot and timing.name not in touched and slots and slots.goes_by_the_clock:
                moved.append(Moved(timing.name, timing.next_slot, at))
        planned.append((timing.name, _look_at(tx.now, slots, standing, at)))
    return planned, moved


def _next_slot(tx: Transaction, slots: Timetable | None, standing: due.Standing, job: int) -> datetime | None:
    """The next slot of a job, even where that has passed."""
    if slots is None:
        return None
    is_active = slots.after is not None and jobs.active_runs(tx, job).any
    return due.next_at(slots, standing, tx.now, is_active=is_active)


def _look_at(
    now: datetime, slots: Timetable | None, standing: due.Standing, next_slot: datetime | None
) -> datetime | None:
    """When a job is to be planned: at once where the host's start has it due, or the clock was set back unseen."""
    is_booted = slots is not None and slots.has_boot and standing.boot_pending
    is_set_back = next_slot is not None and standing.watermark > now
    return now if is_booted or is_set_back else next_slot

"""Puts a catalog in force: what it changes is written in a tick's transaction and remembered after its commit."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobd.core import due, spec
from jobd.core.model import Job
from jobd.core.schedule import Timetable
from jobd.definitions.catalog import Catalog, Defined
from jobd.store import jobs
from jobd.store.connection import Transaction
from jobd.store.submits import JobRef
from jobd.supervisor.quarantine import Quarantine


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
    """None for a job without a schedule, for a disabled one, and for one whose slots are quarantined."""

    @property
    def job(self) -> Job:
        return self.defined.job

    @property
    def file(self) -> str:
        return self.defined.file

    def is_defined_as(self, job: Job) -> bool:
        """Whether this is its definition. What was not read anew is the same object, and need not be looked into."""
        return self.job is job or self.job == job


class Known(Protocol):
    """A job that was in force until now: by this supervisor, or by the last one."""

    @property
    def job(self) -> Job | None: ...
    @property
    def file(self) -> str: ...
    @property
    def ref(self) -> JobRef: ...
    def is_defined_as(self, job: Job) -> bool: ...


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


def compare(old: Mapping[str, Known], new: Mapping[str, Defined]) -> tuple[list[str], list[str], list[str]]:
    """The names added, changed and removed between two sets of jobs."""
    added = [name for name in new if name not in old]
    changed = [name for name, defined in new.items() if name in old and not old[name].is_defined_as(defined.job)]
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
    bad_files = catalog.bad_files
    left = [one for name, one in stored.items() if one.file in bad_files and name not in catalog.jobs]
    return [Defined(job, one.file, 1, 1, spec.to_text(job), "") for one in left if (job := one.job) is not None]


def adopt(
    tx: Transaction,
    catalog: Catalog,
    before: Mapping[str, InForce],
    host: Host,
    *,
    stored: Mapping[str, Known] | None = None,
    anew: bool = False,
    quarantine: Quarantine | None = None,
) -> Change:
    """Write down a catalog: `before` is in force now, and at boot `stored` by the last supervisor.

    `anew`: what was worked out of the zone database holds no more. What did not change costs next to nothing.
    """
    quarantine = quarantine or Quarantine()
    old: Mapping[str, Known] = before if stored is None else stored
    added, changed, removed = compare(old, catalog.jobs)
    for name in removed:
        jobs.remove(tx, name)
    touched = set(added) | set(changed)
    in_force = {}
    for name, defined in catalog.jobs.items():
        known = before.get(name)
        if known is not None and known.defined is defined and not anew:
            in_force[name] = known
            continue
        ref = _ref(tx, defined, old.get(name), host, is_touched=name in touched)
        is_as_before = known is not None and name not in touched and not anew
        is_barred = quarantine.plans(defined) is not None
        slots = known.timetable if known and is_as_before else _timetable(defined.job, host.zone, is_barred=is_barred)
        in_force[name] = InForce(defined, ref, slots)
    wanted = {name for name in in_force if anew or name in touched or name not in before}
    planned, moved = _next_slots(tx, in_force, wanted, touched, host, quarantine)
    gone = [(name, None) for name in removed]
    return Change(catalog, in_force, tuple(added), tuple(changed), tuple(removed), (*planned, *gone), tuple(moved))


def _ref(tx: Transaction, defined: Defined, known: Known | None, host: Host, *, is_touched: bool) -> JobRef:
    """Where a job stands in the store, written down where it is not there as it is now."""
    if known is not None and not is_touched and known.file == defined.file:
        return known.ref
    afresh = is_touched and starts_afresh(known.job if known else None, defined.job)
    return jobs.adopt(tx, defined.job, defined.file, starts_afresh=afresh, boot_id=host.boot_id)


def _timetable(job: Job, zone: str, *, is_barred: bool) -> Timetable | None:
    """When a job is due; None where it never is."""
    is_due = job.enabled and job.schedule.expressions and not is_barred
    return Timetable(job.schedule, zone, job.name) if is_due else None


def standing_of(timing: jobs.Timing, host: Host) -> due.Standing:
    """How far the slots of a job are decided, by what the store knows and which start of the host this is."""
    return due.Standing(
        timing.first_seen_at,
        timing.watermark,
        timing.last_slot,
        timing.ended_at,
        boot_pending=timing.boot_id is not None and timing.boot_id != host.boot_id,
    )


def _timings(tx: Transaction, in_force: Mapping[str, InForce], names: Collection[str]) -> Iterator[jobs.Timing]:
    """Up to where the slots of the named jobs are decided: one look for each where they are few, one for all else."""
    if len(names) * 8 > len(in_force):
        yield from (timing for timing in jobs.timings(tx) if timing.name in names)
        return
    for name in names:
        timing = jobs.timing(tx, in_force[name].ref.job, name)
        if timing is not None:
            yield timing


def _next_slots(
    tx: Transaction,
    in_force: Mapping[str, InForce],
    names: Collection[str],
    touched: Container[str],
    host: Host,
    quarantine: Quarantine,
) -> tuple[list[tuple[str, datetime | None]], list[Moved]]:
    """When each named job is to be planned next, and the unchanged ones among them whose next slot is another."""
    planned: list[tuple[str, datetime | None]] = []
    moved: list[Moved] = []
    for timing in _timings(tx, in_force, names):
        quarantine.plans(in_force[timing.name].defined)
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

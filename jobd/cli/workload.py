"""Jobs as a simulation takes them, from a daemon's answer or from files, and the slots that their schedules have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import Any

from jobd.cli.times import instant
from jobd.core.forecast import Limits, Load
from jobd.core.model import Job
from jobd.core.schedule import Timetable
from jobd.core.spec import schedule_from

MOST_SLOTS = 1_000_000


class TooMany(ValueError):
    """There are more slots than a simulation walks."""


@dataclass(frozen=True, slots=True)
class Work:
    """A job with a schedule, how long it usually takes, and when it is due next by the daemon's word."""

    load: Load
    timetable: Timetable
    is_assumed: bool
    planned: datetime | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    works: Sequence[Work]
    limits: Limits


def from_daemon(pages: Sequence[Mapping[str, Any]], *, assumed: float, by_p95: bool) -> Workload:
    """The workload that a daemon tells of; jobs that never succeeded take `assumed` seconds."""
    items = [item for page in pages for item in page["items"] if item["enabled"]]
    works = [_work(item, assumed, by_p95=by_p95) for item in items if item["schedule"]["expressions"]]
    return Workload(works, Limits(pages[-1]["queues"], pages[-1]["workers_max"]))


def _work(item: Mapping[str, Any], assumed: float, *, by_p95: bool) -> Work:
    schedule = schedule_from(dict(item["schedule"]))
    timetable = Timetable(schedule, item["timezone"], item["job"])
    seconds = item["p95_seconds" if by_p95 else "median_seconds"]
    load = Load(
        item["job"],
        assumed if seconds is None else seconds,
        item["queue"],
        item["priority"],
        schedule.overlap,
        item["max_running"],
        item["running_limit"],
        _after(timetable),
        schedule.start_deadline_seconds,
    )
    return Work(load, timetable, seconds is None, instant(item["next_at"]) if item["next_at"] else None)


def from_jobs(jobs: Sequence[Job], limits: Limits, zone: str, *, assumed: float) -> Workload:
    """The workload of definitions alone: nothing is known of their past."""
    works = []
    for job in jobs:
        if job.enabled and job.schedule.expressions:
            timetable = Timetable(job.schedule, zone, job.name)
            load = Load(
                job.name,
                assumed,
                job.queue,
                job.priority,
                job.schedule.overlap,
                job.max_running,
                job.running_limit,
                _after(timetable),
                job.schedule.start_deadline_seconds,
            )
            works.append(Work(load, timetable, is_assumed=True))
    return Workload(works, limits)


def _after(timetable: Timetable) -> float | None:
    return timetable.after.total_seconds() if timetable.after else None


def slots(
    works: Sequence[Work], start: datetime, end: datetime, excluded: dict[str, int]
) -> Iterator[tuple[float, int]]:
    """The slots after `start` and not after `end`, as seconds since 1970 and the index of their work, in order.

    Those that a calendar keeps back are counted in `excluded` by their job. Raises TooMany.
    """
    count = sum(work.timetable.about(start, end, work.planned or start) for work in works)
    if count > MOST_SLOTS:
        raise TooMany(f"about {count:,} slots lie in that time, more than {MOST_SLOTS:,}: take a shorter one")
    for at, index in merge(*(_slots(work, index, start, end) for index, work in enumerate(works))):
        work = works[index]
        if work.timetable.bar(at) is not None:
            excluded[work.load.name] = excluded.get(work.load.name, 0) + 1
            continue
        yield at.timestamp(), index


def _slots(work: Work, index: int, start: datetime, end: datetime) -> Iterator[tuple[datetime, int]]:
    at = _first(work, start)
    while at is not None and at <= end:
        yield at, index
        at = work.timetable.next_after(at, work.planned or at)


def _first(work: Work, start: datetime) -> datetime | None:
    """The first slot: an interval goes on from the daemon's next one, or else begins with the time simulated."""
    planned, timetable = work.planned, work.timetable
    if planned is not None and planned > start:
        return min(planned, timetable.next_after(start, planned) or planned)
    if timetable.after is not None and planned is None:
        return min(start + timetable.after, timetable.next_after(start, start) or start + timetable.after)
    return timetable.next_after(start, planned or start)

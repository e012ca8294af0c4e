"""When jobs are going to be due: the timetables of all of them walked as one, with what is to be known of each slot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from heapq import heapify, heappop, heappush

from jobd.control.ports import Coming
from jobd.core.holds import Holds
from jobd.supervisor.catalogs import InForce

_AT_ONCE = 200
"""Jobs looked at before others get their turn: with thousands of them the daemon has more to do than to answer this."""

Remark = Callable[[InForce, datetime], str]


async def coming(
    jobs: Iterable[InForce],
    planned: Callable[[str], datetime | None],
    remark: Remark,
    count: int,
    now: datetime,
    start: datetime | None,
    end: datetime | None,
) -> list[Coming]:
    """The first `count` slots after `start` and not after `end`, earliest first.

    `planned` is the next slot of a job as the ticks have it: without a `start` that one comes first, late or not, and
    an interval is counted from it.
    """
    heap: list[tuple[datetime, str, InForce]] = []
    for place, job in enumerate(jobs, 1):
        first = _first(job, planned(job.job.name), now, start)
        if first is not None:
            heap.append((first, job.job.name, job))
        if place % _AT_ONCE == 0:
            await asyncio.sleep(0)
    heapify(heap)
    found: list[Coming] = []
    while heap and len(found) < count:
        at, name, job = heappop(heap)
        if end is not None and at > end:
            break
        assert job.timetable is not None
        found.append(Coming(name, at, job.timetable.zone.name, remark(job, at)))
        following = job.timetable.next_after(at, planned(name) or at)
        if following is not None:
            heappush(heap, (following, name, job))
        if len(found) % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


def _first(job: InForce, planned: datetime | None, now: datetime, start: datetime | None) -> datetime | None:
    if job.timetable is None:
        return None
    if start is None:
        return planned
    if planned is not None and now <= start < planned:
        return planned
    return job.timetable.next_after(start, planned or start)


def remarks(holds: Mapping[str, Holds], now: datetime) -> Remark:
    """What a person should know of coming slots, in phrases: a moved clock, jitter, what keeps them back."""

    def remark(job: InForce, at: datetime) -> str:
        assert job.timetable is not None
        known = holds.get(job.job.name)
        return "; ".join(filter(None, (job.timetable.remark(at), known.bar(at, now) if known else None)))

    return remark

"""Whether the new jobs fire when the old scheduler did: both sides over some time, and every instant that differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice

from jobd.core import zones
from jobd.core.schedule import Timetable
from jobd.core.spans import EPOCH
from jobd.definitions.importers.drafts import Imported

_WEEK = timedelta(days=7)
_AROUND = timedelta(days=1)
_NEAR = timedelta(days=200)
MOST = 20_000
"""Fires of one job that are compared in one window."""


@dataclass(frozen=True, slots=True)
class Window:
    """A time that is looked at: after one instant, up to another."""

    after: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Difference:
    """An instant at which not the same jobs fire; a job that fires twice at once is named twice."""

    at: datetime
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fires:
    """One job on both sides."""

    name: str
    old: tuple[datetime, ...]
    new: tuple[datetime, ...]
    is_cut: bool
    """There were more than are compared."""
    is_known: bool = True
    """The old side can be told; a random time cannot, and is no difference."""


def windows(now: datetime, zone_names: Iterable[str]) -> tuple[Window, ...]:
    """The next seven days, and the days around the next change of the clock where one is near."""
    found = [Window(now, now + _WEEK)]
    changes = (_next_change(zones.zone(name), now) for name in sorted(set(zone_names)))
    for change in sorted({at for at in changes if at is not None}):
        window = Window(max(change - _AROUND, found[-1].until), change + _AROUND)
        if window.after < window.until and change - now < _NEAR:
            found.append(window)
    return tuple(found)


def _next_change(zone: zones.Zone, now: datetime) -> datetime | None:
    second = (now - EPOCH) // timedelta(seconds=1)
    end = second + int(_NEAR.total_seconds())
    while second < end:
        span = zone.span(second)
        if span.after != span.offset:
            return EPOCH + timedelta(seconds=span.end)
        second = span.end
    return None


def fires(jobs: Sequence[Imported], over: Sequence[Window], host_zone: str, most: int = MOST) -> list[Fires]:
    """What each job does on both sides; at most `most` fires of a job in each window."""
    return [_of_job(job, over, host_zone, most) for job in jobs]


def _of_job(job: Imported, over: Sequence[Window], host_zone: str, most: int) -> Fires:
    new_rule = _NewRule(job, host_zone, over[0].after)
    old: list[datetime] = []
    new: list[datetime] = []
    is_cut = False
    for window in over:
        rows = (rule.fires(window.after, window.until, over[0].after) for rule in job.old)
        before = list(islice(merge(*rows), most + 1))
        after = new_rule.fires(window, most + 1)
        ends = [found[most - 1] for found in (before, after) if len(found) > most]
        if ends:
            is_cut = True
            before, after = ([at for at in found[:most] if at <= min(ends)] for found in (before, after))
        old += before
        new += after
    return Fires(job.name, tuple(old), tuple(new), is_cut, is_known=bool(job.old))


class _NewRule:
    """jobd's side: jitter left out, as it is on the other side, and runs taken to last no time."""

    def __init__(self, job: Imported, host_zone: str, anchor: datetime) -> None:
        self._anchor = anchor
        schedule = replace(job.job.schedule, jitter_seconds=0.0)
        self._timetable = Timetable(schedule, host_zone, job.name) if job.job.enabled else None

    def fires(self, window: Window, most: int) -> list[datetime]:
        if self._timetable is None:
            return []
        found: list[datetime] = []
        at, anchor = window.after, self._anchor
        while len(found) < most and (due := self._next(at, anchor)) is not None and due <= window.until:
            found.append(due)
            at = anchor = due
        return found

    def _next(self, at: datetime, anchor: datetime) -> datetime | None:
        assert self._timetable is not None
        due, span = self._timetable.next_after(at, anchor), self._timetable.after
        if span is None:
            return due
        ended = anchor + span * max((at - anchor) // span + 1, 1)
        return ended if due is None else min(due, ended)


def differences(found: Iterable[Fires]) -> list[Difference]:
    """Every instant at which old and new differ, in order."""
    old: dict[datetime, list[str]] = {}
    new: dict[datetime, list[str]] = {}
    for one in found:
        if not one.is_known:
            continue
        before, after = Counter(one.old), Counter(one.new)
        for at in before.keys() | after.keys():
            if before[at] != after[at]:
                old.setdefault(at, []).extend([one.name] * before[at])
                new.setdefault(at, []).extend([one.name] * after[at])
    return [Difference(at, tuple(sorted(old[at])), tuple(sorted(new[at]))) for at in sorted(old)]

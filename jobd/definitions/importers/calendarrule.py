"""When systemd elapses a timer: its own way with calendar expressions, checked against `systemd-analyze calendar`.

A local time that a moved clock skips does not elapse; of a repeated hour only the first pass does, for all expressions.
Not followed is what libc makes of it in Europe/Dublin, whose winter time is the saving one: there systemd 252 gives up
the rest of the day in which a time is skipped.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from heapq import merge

from jobd.core import zones
from jobd.core.spans import EPOCH
from jobd.definitions.importers.oncalendar import MICRO, Calendar

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_DAY = 86400
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TimerRule:
    """All the times of a timer on a host in a time zone."""

    calendars: tuple[Calendar, ...]
    zone: str
    period: timedelta | None = None
    """OnUnitActiveSec= or OnUnitInactiveSec=, the shorter: after the last time of any kind, runs taking no time."""

    def fires(self, after: datetime, until: datetime, anchor: datetime) -> Iterator[datetime]:
        by_calendar = merge(*(elapses(calendar, self.zone, after, until) for calendar in self.calendars))
        upcoming = next(by_calendar, None)
        at, last = after, anchor
        while True:
            while upcoming is not None and upcoming <= at:
                upcoming = next(by_calendar, None)
            due = [] if self.period is None else [last + self.period * max((at - last) // self.period + 1, 1)]
            found = min([*due, *([] if upcoming is None else [upcoming])], default=None)
            if found is None or found > until:
                return
            yield found
            at = last = found


def elapses(calendar: Calendar, host_zone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The instants of one OnCalendar= after one instant and not after another, in order."""
    zone = zones.zone(calendar.timezone or host_zone)
    first, last = (after - EPOCH) // _MICROSECOND + 1, (until - EPOCH) // _MICROSECOND
    while first <= last:
        span = zone.span(first // MICRO)
        low, end = first + span.offset * MICRO, min(span.end * MICRO, last + 1) + span.offset * MICRO
        if span.before > span.offset:
            low = max(low, (span.start + span.before) * MICRO)
        for wall in _walls(calendar, low, end):
            yield EPOCH + timedelta(microseconds=wall - span.offset * MICRO)
        first = span.end * MICRO


def _walls(calendar: Calendar, low: int, end: int) -> Iterator[int]:
    """The matching local times from `low` to before `end`, in microseconds as if no clock had ever been moved."""
    for day in range(low // (_DAY * MICRO), (end - 1) // (_DAY * MICRO) + 1):
        found = date.fromordinal(day + _EPOCH_ORDINAL)
        length = monthrange(found.year, found.month)[1]
        if calendar.matches_day(found.year, found.month, found.day, found.weekday(), length):
            walls = (
                (day * _DAY + hour * 3600 + minute * 60) * MICRO + micro
                for hour in calendar.hours
                for minute in calendar.minutes
                for micro in calendar.micros
            )
            yield from (wall for wall in walls if low <= wall < end)

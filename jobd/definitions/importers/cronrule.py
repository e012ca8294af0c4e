"""When Vixie's cron, as Debian ships it, starts a line: its handling of a clock that moves, measured on the program.

It counts local minutes. Where they jump ahead by 5 minutes or more, wildcard lines run for the minute that is now and
fixed ones for every minute missed, each of them, at once; where they jump back, fixed lines wait until the clock has
caught up. A jump of three hours or more is taken for a correction, and everything runs by the new time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from jobd.core import zones
from jobd.core.spans import EPOCH
from jobd.definitions.importers.crontimes import Times

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_FEW_MINUTES = 5
_MANY_MINUTES = 3 * 60
_DAY = 86400


@dataclass(frozen=True, slots=True)
class CronRule:
    """One line under cron in a time zone."""

    times: Times
    zone: str

    def fires(self, after: datetime, until: datetime, anchor: datetime) -> Iterator[datetime]:  # noqa: ARG002 - by the clock
        if self.times.at_boot:
            return
        first = (after - EPOCH) // timedelta(seconds=1) + 1
        last = (until - EPOCH) // timedelta(seconds=1)
        for second in _seconds(self.times, zones.zone(self.zone), first, last):
            yield EPOCH + timedelta(seconds=second)


def _seconds(times: Times, zone: zones.Zone, first: int, last: int) -> Iterator[int]:
    while first <= last:
        span = zone.span(first)
        if first == span.start and span.offset > span.before:
            yield from (first for _ in _missed(times, span))
        low, end = first + span.offset, min(span.end, last + 1) + span.offset
        if not times.is_wildcard and _is_waiting(span):
            low = max(low, span.start + span.before)
        yield from (wall - span.offset for wall in _walls(times, low, end))
        first = span.end


def _missed(times: Times, span: zones.Span) -> Iterator[int]:
    """The local minutes in the gap before a span that cron runs all the same, when the gap is over."""
    jump = (span.offset - span.before) // 60 + 1
    is_caught_up = jump <= _FEW_MINUTES or (jump <= _MANY_MINUTES and not times.is_wildcard)
    if is_caught_up:
        yield from _walls(times, span.start + span.before, span.start + span.offset)


def _is_waiting(span: zones.Span) -> bool:
    """Whether the clock went back to here, and not so far that cron takes it for a correction."""
    return 0 < (span.before - span.offset) // 60 <= _MANY_MINUTES


def _walls(times: Times, low: int, end: int) -> Iterator[int]:
    """The local minutes that match, from `low` to before `end`, in seconds as if no clock had ever been moved."""
    hours, minutes = ([n for n in range(60) if mask >> n & 1] for mask in (times.hours, times.minutes))
    for day in range(low // _DAY, (end - 1) // _DAY + 1):
        if _matches_day(times, day):
            walls = (day * _DAY + hour * 3600 + minute * 60 for hour in hours for minute in minutes)
            yield from (wall for wall in walls if low <= wall < end)


def _matches_day(times: Times, day: int) -> bool:
    found = date.fromordinal(day + _EPOCH_ORDINAL)
    if not times.months >> found.month & 1:
        return False
    by_day, by_weekday = times.days >> found.day & 1, times.weekdays >> found.isoweekday() % 7 & 1
    return bool(by_day and by_weekday) if times.needs_both_days else bool(by_day or by_weekday)

"""What the DST rule says, found the slow way: every minute of UTC is converted with zoneinfo and compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def values(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        start, _, end = (f"{low}-{high}" if span == "*" else span).partition("-")
        last = int(end) if end else (high if step else int(start))
        found |= set(range(int(start), last + 1, int(step or 1)))
    return found


def matcher(expression: str):
    fields = expression.split()
    minutes, hours, days, months, weekdays = (values(f, *b) for f, b in zip(fields, _BOUNDS, strict=True))
    weekdays = {day % 7 for day in weekdays}
    both = fields[2][0] == "*" or fields[4][0] == "*"

    def matches(wall: datetime) -> bool:
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        by_day, by_weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
        return by_day and by_weekday if both else by_day or by_weekday

    return matches


@cache
def walls(zone: str, start: datetime, minutes: int) -> tuple[tuple[datetime, datetime, int], ...]:
    """(UTC, local without zone, fold) of every minute."""
    info, found = ZoneInfo(zone), []
    for n in range(minutes):
        at = start + n * MINUTE
        local = at.astimezone(info)
        found.append((at, local.replace(tzinfo=None, fold=0), local.fold))
    return tuple(found)


def fires(expression: str, zone: str, start: datetime, minutes: int) -> list[datetime]:
    """The instants due in so many minutes from `start`; no change of the offset may lie within a day of either end."""
    matches, shown = matcher(expression), walls(zone, start, minutes)
    if expression[0] == "*" or expression.split()[1][0] == "*":
        return [at for at, wall, _ in shown if matches(wall)]
    found = {at for at, wall, fold in shown if matches(wall) and not fold}
    for (_, before, _), (at, after, _) in pairwise(shown):
        skipped = before + MINUTE
        while skipped < after:
            if matches(skipped):
                found.add(at)
                break
            skipped += MINUTE
    return sorted(found)


@cache
def transitions(zone: str, first_year: int, last_year: int) -> tuple[datetime, ...]:
    """The hours of UTC in which the zone's offset changes."""
    info, found = ZoneInfo(zone), []
    at, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    before = at.astimezone(info).utcoffset()
    while at < end:
        later = at + timedelta(days=1)
        after = later.astimezone(info).utcoffset()
        if after != before:
            while (at + timedelta(hours=1)).astimezone(info).utcoffset() == before:
                at += timedelta(hours=1)
            found.append(at)
        at, before = later, after
    return tuple(found)

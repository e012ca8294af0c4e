"""systemd's calendar expressions in jobd's words: cron fields of the same dates and times, where there are any."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from jobd.definitions.importers.oncalendar import ALL_WEEKDAYS, MICRO, Calendar

_LENGTHS = {month: 30 if month in (4, 6, 9, 11) else 31 for month in range(1, 13) if month != 2}
_LAST_WEEK = frozenset(range(1, 8))


def expressions(calendar: Calendar) -> tuple[str, ...]:
    """jobd's expressions for it, days and weekdays to be matched both. Raises ValueError with what cannot be said."""
    if any(micro % MICRO for micro in calendar.micros):
        raise ValueError("fractions of a second cannot be said: jobd's schedules are on the second")
    if calendar.years is not None:
        return (_instant(calendar),)
    return tuple(_fields(calendar, *dates) for dates in _dates(calendar))


def _instant(calendar: Calendar) -> str:
    parts = (calendar.years, calendar.months, calendar.days, calendar.hours, calendar.minutes, calendar.micros)
    if calendar.from_end or calendar.weekdays != ALL_WEEKDAYS or any(part is None or len(part) != 1 for part in parts):
        raise ValueError("years cannot be said, apart from a single date and time")
    year, month, day, hour, minute, micro = (next(iter(part)) for part in parts if part is not None)
    return f"at {year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{micro // MICRO:02}"


def _dates(calendar: Calendar) -> Iterable[tuple[str, str, str]]:
    """(day of month, month, day of week) fields."""
    weekdays = sorted((day + 1) % 7 for day in calendar.weekdays)
    by_weekday = "*" if len(weekdays) == 7 else field(weekdays, 0, 6)
    months = field(calendar.months, 1, 12)
    if not calendar.from_end:
        return [(field(calendar.days, 1, 31), months, by_weekday)]
    if calendar.days == {1}:
        return [("L", months, by_weekday)]
    if calendar.days == _LAST_WEEK and by_weekday != "*":
        return [("*", months, ",".join(f"{day}L" for day in weekdays))]
    if 2 in calendar.months:
        raise ValueError("days counted from the end of February cannot be said, apart from the last one")
    found = []
    for length in sorted({_LENGTHS[month] for month in calendar.months}):
        days = sorted(length + 1 - day for day in calendar.days)
        own = [month for month in sorted(calendar.months) if _LENGTHS[month] == length]
        found.append((field(days, 1, 31), field(own, 1, 12), by_weekday))
    return found


def _fields(calendar: Calendar, day: str, month: str, weekday: str) -> str:
    fields = [field(calendar.minutes, 0, 59), field(calendar.hours, 0, 23), day, month, weekday]
    seconds = [micro // MICRO for micro in calendar.micros]
    return " ".join(fields if seconds == [0] else [field(seconds, 0, 59), *fields])


def field(values: Collection[int], low: int, high: int) -> str:
    """Some values as a person would write them in a cron field: `*`, steps, ranges, lists."""
    ordered = sorted(values)
    if ordered == list(range(low, high + 1)):
        return "*"
    if (step := _step(ordered, low, high)) is not None:
        return step
    return ",".join(_runs(ordered))


def _step(ordered: Sequence[int], low: int, high: int) -> str | None:
    if len(ordered) < 3:
        return None
    step = ordered[1] - ordered[0]
    if step < 2 or ordered != list(range(ordered[0], ordered[-1] + 1, step)):
        return None
    if ordered[0] == low and ordered[-1] + step > high:
        return f"*/{step}"
    return f"{ordered[0]}-{ordered[-1]}/{step}"


def _runs(ordered: Sequence[int]) -> Iterable[str]:
    start = 0
    for index in range(1, len(ordered) + 1):
        if index == len(ordered) or ordered[index] != ordered[index - 1] + 1:
            first, last = ordered[start], ordered[index - 1]
            yield from [f"{first}-{last}"] if last - first > 1 else map(str, range(first, last + 1))
            start = index

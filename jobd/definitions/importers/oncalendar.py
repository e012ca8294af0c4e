"""systemd's calendar expressions (systemd.time(7)) as the dates and times they name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from zoneinfo import available_timezones

_SHORTHANDS = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00",
    "biannually": "*-01,07-01 00:00:00",
    "bi-annually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
    "anually": "*-01-01 00:00:00",
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ITEM = re.compile(r"(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?(?:/(\d+(?:\.\d+)?))?", re.ASCII)
_NAMES = re.compile(r"[A-Za-z]+(?:(?:,|\.\.|-)[A-Za-z]+)*,?", re.ASCII)
_DATE = re.compile(r"(?:([^-~\s]+)-)?([^-~\s]+)([-~])([^-~\s]+)")
_TIME = re.compile(r"([^:\s]+):([^:\s]+)(?::([^:\s]+))?")
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
MICRO = 1_000_000
_MOST_SECONDS = 3600
ALL_MONTHS = frozenset(range(1, 13))
ALL_DAYS = frozenset(range(1, 32))
ALL_WEEKDAYS = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Calendar:
    """The dates and times of an expression; all of it has to match."""

    text: str
    years: frozenset[int] | None = None
    """None is every year."""
    months: frozenset[int] = ALL_MONTHS
    days: frozenset[int] = ALL_DAYS
    from_end: bool = False
    """`days` count from the end of the month, 1 being its last day."""
    weekdays: frozenset[int] = ALL_WEEKDAYS
    """Monday is 0."""
    hours: tuple[int, ...] = (0,)
    minutes: tuple[int, ...] = (0,)
    micros: tuple[int, ...] = field(default=(0,))
    """Microseconds of a minute."""
    timezone: str | None = None
    """None is the host's."""

    def matches_day(self, year: int, month: int, day: int, weekday: int, length: int) -> bool:
        if (self.years is not None and year not in self.years) or month not in self.months:
            return False
        number = length + 1 - day if self.from_end else day
        return number in self.days and weekday in self.weekdays


def parse(text: str) -> Calendar:
    """The dates and times in an expression. Raises ValueError for what systemd refuses."""
    rest, timezone = _zone(text.strip())
    if rest.startswith("@"):
        raise ValueError(f'"{text}" is one instant, long past or far away: seconds since 1970')
    rest = _SHORTHANDS.get(rest.lower(), rest)
    words = rest.split()
    if not words:
        raise ValueError(f'"{text}" is no calendar expression')
    weekdays = ALL_WEEKDAYS
    if _NAMES.fullmatch(words[0]):
        weekdays = _weekdays(words.pop(0))
    date = _DATE.fullmatch(words[0]) if words else None
    if date is not None:
        words.pop(0)
    time = _TIME.fullmatch(words[0]) if words else None
    if time is not None:
        words.pop(0)
    if words:
        raise ValueError(f'"{text}" is no calendar expression: {words[0]!r} is not understood')
    return _calendar(text.strip(), weekdays, date, time, timezone)


def _calendar(
    text: str,
    weekdays: frozenset[int],
    date: re.Match[str] | None,
    time: re.Match[str] | None,
    timezone: str | None,
) -> Calendar:
    from_end = date is not None and date[3] == "~" and date[4] != "*"
    years = _years(date[1]) if date is not None and date[1] else None
    return Calendar(
        text,
        years,
        _values(date[2], 1, 12, "month") if date else ALL_MONTHS,
        _days(date[4], from_end=from_end) if date else ALL_DAYS,
        from_end,
        weekdays,
        tuple(sorted(_values(time[1], 0, 23, "hour"))) if time else (0,),
        tuple(sorted(_values(time[2], 0, 59, "minute"))) if time else (0,),
        _seconds(time[3]) if time and time[3] else (0,),
        timezone,
    )


def _zone(text: str) -> tuple[str, str | None]:
    before, _, last = text.rpartition(" ")
    if last == "UTC" or (last in available_timezones() and last.lower() not in _SHORTHANDS):
        return before.strip(), last
    return text, None


def _weekdays(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.replace("..", "-").partition("-")
        low, high = _weekday(first), _weekday(last or first)
        if low > high:
            raise ValueError(f'"{part}" is a reversed range of days')
        found |= set(range(low, high + 1))
    return frozenset(found)


def _weekday(name: str) -> int:
    for index, full in enumerate(_WEEKDAYS):
        if name.lower() in (full, full[:3]):
            return index
    raise ValueError(f'"{name}" is no day of the week')


def _years(text: str) -> frozenset[int] | None:
    if text == "*":
        return None
    found: set[int] = set()
    for low, high, step in _items(text, "year"):
        first, last = _full_year(int(low)), None if high is None else _full_year(int(high))
        end = last if last is not None else (_LAST_YEAR if step else first)
        found |= set(range(first, end + 1, int(step or 1)))
    if not found <= set(range(_FIRST_YEAR, _LAST_YEAR + 1)):
        raise ValueError(f'"{text}" is out of range for the year ({_FIRST_YEAR} to {_LAST_YEAR})')
    return frozenset(found)


def _full_year(year: int) -> int:
    return year + 2000 if year < 70 else year + 1900 if year < 100 else year


def _days(text: str, *, from_end: bool) -> frozenset[int]:
    if not from_end:
        return _values(text, 1, 31, "day")
    found: set[int] = set()
    for low, high, step in _items(text, "day"):
        first, last = int(low), int(high) if high is not None else None
        if step and last is None:
            # From that day on, forward to the end of the month.
            found |= set(range(first, 0, -int(step)))
        else:
            found |= set(range(first, (last or first) + 1, int(step or 1)))
    if not found or not found <= set(range(1, 29)):
        raise ValueError(f'"~{text}" is out of range for a day from the end of the month (1 to 28)')
    return frozenset(found)


def _values(text: str, lowest: int, highest: int, name: str) -> frozenset[int]:
    if text == "*":
        return frozenset(range(lowest, highest + 1))
    found: set[int] = set()
    for low, high, step in _items(text, name):
        if "." in low + (high or "") + (step or ""):
            raise ValueError(f'"{text}" is not a {name}')
        first = int(low)
        last = int(high) if high is not None else (highest if step else first)
        if not lowest <= first <= last <= highest:
            raise ValueError(f'"{text}" is out of range for the {name} ({lowest} to {highest})')
        found |= set(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _seconds(text: str) -> tuple[int, ...]:
    if text == "*":
        return tuple(range(0, 60 * MICRO, MICRO))
    found: set[int] = set()
    for low, high, step in _items(text, "second"):
        first = _micros(low)
        last = _micros(high) if high is not None else (60 * MICRO - 1 if step else first)
        stride = _micros(step) if step else MICRO
        if not 0 <= first <= last < 61 * MICRO or stride < 1 or (last - first) // stride > _MOST_SECONDS:
            raise ValueError(f'"{text}" is out of range for the second')
        found |= set(range(first, last + 1, stride))
    if not found or max(found) >= 60 * MICRO:
        raise ValueError(f'"{text}" is out of range for the second (0 to 59)')
    return tuple(sorted(found))


def _micros(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole[:9]) * MICRO + round(float(f"0.{part or 0}") * MICRO)


def _items(text: str, name: str) -> list[tuple[str, str | None, str | None]]:
    found: list[tuple[str, str | None, str | None]] = []
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None or any(len(part or "") > 16 for part in match.groups()) or match[3] in ("0", "00"):
            raise ValueError(f'"{item[:40]}" is not a {name} to systemd')
        found.append((match[1], match[2], match[3]))
    return found

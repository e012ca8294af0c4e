"""Cron expressions of five fields: their grammar, and the local minutes they name; zones and instants are elsewhere.

croniter's field parser reads the fields, after a grammar of our own has refused what it would read in surprising ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import NamedTuple

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LONGEST = 256
"""Characters of an expression."""

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MONTHS_AHEAD = 50 * 12
_MONTH_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EVERY_SEVENTH = sum(1 << n for n in range(0, 35, 7))


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    """Names of the values, from `low` on."""


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    _Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_DAY_OF_WEEK = 4

_ITEM = re.compile(r"(?P<low>\*|\d+|[a-z]+)(?:-(?P<high>\d+|[a-z]+))?(?:/(?P<step>\d+))?", re.ASCII)
_NOT_YET = (
    (re.compile(r"h(\(.*\))?(/.*)?"), "H (a hash of the job's name)"),
    (re.compile(r"lw?|[a-z0-9]+l"), "L (the last day)"),
    (re.compile(r".+#.*"), "# (the n-th weekday of a month)"),
)
_NEVER = (
    (re.compile(r"r(\(.*\))?(/.*)?"), "R (a random time) is not taken: a schedule must say when"),
    (re.compile(r".*\?.*"), "? is not taken: write *"),
    (re.compile(r"\d+w|w\d+"), "W (the nearest weekday) is not taken"),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. Bit n of a mask stands for the value n; day-of-week bits are 0 (Sunday) to 6."""

    text: str
    minutes: int
    hours: int
    days: int
    months: int
    weekdays: int
    is_wildcard: bool
    """Minute or hour begins with `*`: the schedule follows real time through changes of the offset (Debian's rule)."""
    needs_both_days: bool
    """Day of month and day of week must both match: one of them begins with `*` (Debian's rule), or the job says so."""

    def requiring_both_days(self) -> Cron:
        """The same with `day_match: and`. Raises ValueError if it can never be due then."""
        return _possible(replace(self, needs_both_days=True))

    def first_wall(self, wall: int) -> int | None:
        """The first matching local minute at or after `wall`; None if there is none within 50 years.

        Local time is counted in seconds from 1970-01-01 00:00 local, as if no clock had ever been moved.
        """
        day, minute = divmod(-(-wall // 60), 1440)
        today = date.fromordinal(day + _EPOCH_ORDINAL)
        year, month = today.year, today.month
        days = self._days_of(year, month)
        if days >> today.day & 1 and (minute := self._minute_from(minute)) >= 0:
            return (day * 1440 + minute) * 60
        days = days >> today.day + 1 << today.day + 1
        for _ in range(_MONTHS_AHEAD):
            if days:
                found = date(year, month, _lowest(days)).toordinal() - _EPOCH_ORDINAL
                return (found * 1440 + self._minute_from(0)) * 60
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            days = self._days_of(year, month)
        return None

    def count_walls(self, after: int, until: int) -> int:
        """How many matching local minutes come after `after` and not after `until`."""
        (first, start), (last, end) = divmod(after // 60 + 1, 1440), divmod(until // 60, 1440)
        if (first, start) > (last, end):
            return 0
        a_day = self._minutes_left(0)
        total = self._count_days(first, last) * a_day
        if self._count_days(first, first):
            total -= a_day - self._minutes_left(start)
        if self._count_days(last, last):
            total -= self._minutes_left(end + 1)
        return total

    def _count_days(self, first: int, last: int) -> int:
        """How many matching days there are from one day to another, both counted from 1970."""
        start, end = (date.fromordinal(day + _EPOCH_ORDINAL) for day in (first, last))
        total = 0
        for number in range(start.year * 12 + start.month - 1, end.year * 12 + end.month):
            year, month = number // 12, number % 12 + 1
            days = self._days_of(year, month)
            if (year, month) == (start.year, start.month):
                days = days >> start.day << start.day
            if (year, month) == (end.year, end.month):
                days &= (2 << end.day) - 1
            total += days.bit_count()
        return total

    def _minutes_left(self, minute: int) -> int:
        """How many matching minutes of a day come at or after one."""
        hour, minute = divmod(minute, 60)
        later = (self.hours >> hour + 1).bit_count() * self.minutes.bit_count()
        return later + (self.hours >> hour & 1) * (self.minutes >> minute).bit_count()

    def _days_of(self, year: int, month: int) -> int:
        """The days of a month on which it is due, as a mask of the days 1 to 31."""
        if not self.months >> month & 1:
            return 0
        first = date(year, month, 1).toordinal() % 7
        week = (self.weekdays >> first | self.weekdays << 7 - first) & 127
        by_weekday = week * _EVERY_SEVENTH << 1
        days = self.days & by_weekday if self.needs_both_days else self.days | by_weekday
        return days & (2 << _length(year, month)) - 2

    def _minute_from(self, minute: int) -> int:
        """The first matching minute of a day at or after one; -1 if there is none."""
        hour, minute = divmod(minute, 60)
        if self.hours >> hour & 1 and (rest := self.minutes >> minute):
            return hour * 60 + minute + _lowest(rest)
        if rest := self.hours >> hour + 1:
            return (hour + 1 + _lowest(rest)) * 60 + _lowest(self.minutes)
        return -1


@lru_cache(maxsize=16384)
def parse(text: str) -> Cron:
    """The expression of five fields or the `@` word in `text`.

    Raises ValueError with the reason for everything else, and for what can never be due.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a cron expression of {len(text)} characters is too long (at most {LONGEST})")
    if not text.isascii() or not text.replace("\t", " ").isprintable():
        raise ValueError(f"{text!a} has characters that no cron expression has (ASCII only)")
    words = text.lower().split()
    if len(words) == 1 and words[0].startswith("@"):
        words = _macro(words[0]).split()
    fields = _five(words)
    minutes, hours, days, months, weekdays = (_mask(index, field) for index, field in enumerate(fields))
    return _possible(
        Cron(
            " ".join(text.split()),
            minutes,
            hours,
            days,
            months,
            weekdays,
            is_wildcard=fields[0].startswith("*") or fields[1].startswith("*"),
            needs_both_days=fields[2].startswith("*") or fields[4].startswith("*"),
        )
    )


def _macro(word: str) -> str:
    if word in ("@boot", "@reboot"):
        raise ValueError("@boot (once per start of the host) is not supported by this version yet")
    if word not in MACROS:
        raise ValueError(f'"{word}" is not a schedule (allowed: {", ".join(MACROS)})')
    return MACROS[word]


def _five(words: list[str]) -> list[str]:
    if any("=" in word for word in words):
        raise ValueError("a cron expression sets no variables (the time zone goes into the key timezone)")
    if len(words) == 6:
        raise ValueError("cron expressions of six fields (seconds first) are not supported by this version yet")
    if len(words) != 5:
        raise ValueError(
            f"a cron expression has five fields (minute, hour, day of month, month, day of week), not {len(words)}"
        )
    return words


@lru_cache(maxsize=4096)
def _mask(index: int, text: str) -> int:
    """The values of one field as bits. Fields repeat far more often than expressions, so they are what is kept."""
    field = _FIELDS[index]
    items = [_checked(item, field) for item in text.split(",")]
    values = _expand(index, ",".join(items))
    mask = 0
    for value in values:
        mask |= (2 << field.high) - (1 << field.low) if value == "*" else 1 << int(value)
    return mask & 127 if index == _DAY_OF_WEEK else mask


def _expand(index: int, text: str) -> list[int | str]:
    """What croniter reads in one field: numbers, or a star."""
    from croniter import croniter

    fields = ["*"] * 5
    fields[index] = text
    try:
        expanded, _ = croniter.expand(" ".join(fields))
    except ValueError as error:
        raise ValueError(f'"{text}" is not a {_FIELDS[index].name}: {error}') from error
    return list(expanded[index])


def _checked(item: str, field: _Field) -> str:
    """One item of a field's list, as croniter is to read it. Raises ValueError for what it would read surprisingly."""
    _refuse_words(item, field)
    match = _ITEM.fullmatch(item)
    if not match or (match["low"] == "*" and match["high"]):
        raise ValueError(f'"{item}" is not a {field.name} (try *, 5, 1-5, */10 or a list of them)')
    _check_step(item, match["step"], field)
    if match["low"] == "*":
        return item
    low = _value(match["low"], field)
    if match["high"] is None:
        return _from_one(item, low, match["step"], field)
    return _range(item, low, _value(match["high"], field), match["step"], field)


def _refuse_words(item: str, field: _Field) -> None:
    if item in field.names:
        return
    for pattern, what in _NOT_YET:
        if pattern.fullmatch(item):
            raise ValueError(f'"{item}" in the {field.name}: {what} is not supported by this version yet')
    for pattern, why in _NEVER:
        if pattern.fullmatch(item):
            raise ValueError(f'"{item}" in the {field.name}: {why}')


def _value(text: str, field: _Field) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if not text.isdecimal():
        known = f"{field.names[0]} to {field.names[-1]}" if field.names else f"{field.low} to {field.high}"
        raise ValueError(f'"{text}" is not a {field.name} ({known})')
    if len(text) > 3 or not field.low <= int(text) <= field.high:
        raise ValueError(f'"{text}" is out of range for the {field.name} ({field.low} to {field.high})')
    return int(text)


def _check_step(item: str, step: str | None, field: _Field) -> None:
    size = 7 if field is _FIELDS[_DAY_OF_WEEK] else field.high - field.low + 1
    if step is not None and (len(step) > 3 or not 1 <= int(step) <= size):
        raise ValueError(f'the step of "{item}" is out of range for the {field.name} (1 to {size})')


def _from_one(item: str, low: int, step: str | None, field: _Field) -> str:
    """A single value, or `5/15`: from 5 on, every 15th."""
    if step is None:
        return str(low)
    if field is _FIELDS[_DAY_OF_WEEK]:
        raise ValueError(f'"{item}" in the day of week needs the range it steps through (try {low}-6/{step})')
    return f"{low}/{step}"


def _range(item: str, low: int, high: int, step: str | None, field: _Field) -> str:
    if low == high:
        raise ValueError(f'"{item}" in the {field.name} is a range of one value (write {low})')
    if low > high:
        hint = f"try {low}-7" if field is _FIELDS[_DAY_OF_WEEK] and high == 0 else "from the lower to the higher"
        raise ValueError(f'"{item}" in the {field.name} is a reversed range ({hint})')
    if field is _FIELDS[_DAY_OF_WEEK] and high == 7:
        # croniter makes 7 a 0 before it steps, and so steps through a range that was never written.
        return ",".join(str(value % 7) for value in range(low, high + 1, int(step or 1)))
    return f"{low}-{high}" + (f"/{step}" if step else "")


def _possible(cron: Cron) -> Cron:
    """The expression itself if some day can match it.

    Where a day of some month exists, it meets every day of the week within 40 years (29 February around 2100 is the
    rarest), so that looking for a day of a month is enough.
    """
    if not cron.needs_both_days:
        return cron
    longest = max(_length(2000, month) for month in range(1, 13) if cron.months >> month & 1)
    if _lowest(cron.days) > longest:
        raise ValueError(f'"{cron.text}" can never be due: no such day is in those months')
    return cron


def _length(year: int, month: int) -> int:
    if month == 2 and year % 4 == 0 and (year % 100 or year % 400 == 0):
        return 29
    return _MONTH_LENGTHS[month]


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1

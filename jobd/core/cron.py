"""Cron expressions of five fields and the local minutes they name; fields, zones and instants are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from jobd.core import cronfields

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
    minutes, hours, days, months, weekdays = (cronfields.mask(index, field) for index, field in enumerate(fields))
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
    if word not in MACROS:
        raise ValueError(f'"{word}" is not a schedule (allowed: {", ".join(MACROS)}, @boot)')
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

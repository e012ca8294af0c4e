"""Cron expressions of five or six fields and the local times they name; fields, zones and instants are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from jobd.core import cronfields, cronhash
from jobd.core.cronfields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, LAST_DAY, LAST_WEEK, LAST_WORKDAY, MINUTE

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
_SUNDAY, _SATURDAY = 0, 6
_EVERY_SEVENTH = sum(1 << n for n in range(0, 35, 7))


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. Bit n of a mask stands for the value n; what days have more is told in `cronfields`."""

    text: str
    """The fields in lower case, a value of the job's own for each `H`."""
    seconds: int
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
        """The first matching local second at or after `wall`; None if there is none within 50 years.

        Local time is counted in seconds from 1970-01-01 00:00 local, as if no clock had ever been moved.
        """
        minute, second = divmod(wall, 60)
        left = self.seconds >> second
        if not left:
            minute, second, left = minute + 1, 0, self.seconds
        found = self._first_minute(minute)
        if found is None:
            return None
        return found * 60 + (second + _lowest(left) if found == minute else _lowest(self.seconds))

    def count_walls(self, after: int, until: int) -> int:
        """How many matching local seconds come after `after` and not after `until`."""
        (first, start), (last, end) = divmod(after + 1, 60), divmod(until, 60)
        if after >= until:
            return 0
        total = self._count_minutes(first, last) * self.seconds.bit_count()
        if self._count_minutes(first, first):
            total -= (self.seconds & (1 << start) - 1).bit_count()
        if self._count_minutes(last, last):
            total -= (self.seconds >> end + 1).bit_count()
        return total

    def days_of(self, year: int, month: int) -> int:
        """The days of a month on which it is due, as a mask of the days 1 to 31."""
        if not self.months >> month & 1:
            return 0
        first, length = _shape(year, month)
        return _matching_days(self.days, self.weekdays, self.needs_both_days, first, length)

    def _first_minute(self, start: int) -> int | None:
        """The first matching local minute at or after one, both counted from 1970."""
        day, minute = divmod(start, 1440)
        today = date.fromordinal(day + _EPOCH_ORDINAL)
        year, month = today.year, today.month
        days = self.days_of(year, month)
        if days >> today.day & 1 and (minute := self._minute_from(minute)) >= 0:
            return day * 1440 + minute
        days = days >> today.day + 1 << today.day + 1
        for _ in range(_MONTHS_AHEAD):
            if days:
                found = date(year, month, _lowest(days)).toordinal() - _EPOCH_ORDINAL
                return found * 1440 + self._minute_from(0)
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            days = self.days_of(year, month)
        return None

    def _count_minutes(self, first_minute: int, last_minute: int) -> int:
        """How many matching local minutes there are from one to another, both counted from 1970."""
        (first, start), (last, end) = divmod(first_minute, 1440), divmod(last_minute, 1440)
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
            days = self.days_of(year, month)
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

    def _minute_from(self, minute: int) -> int:
        """The first matching minute of a day at or after one; -1 if there is none."""
        hour, minute = divmod(minute, 60)
        if self.hours >> hour & 1 and (rest := self.minutes >> minute):
            return hour * 60 + minute + _lowest(rest)
        if rest := self.hours >> hour + 1:
            return (hour + 1 + _lowest(rest)) * 60 + _lowest(self.minutes)
        return -1


def parse(text: str, name: str = "") -> Cron:
    """The expression of five or six fields (seconds first) or the `@` word in `text`, in the job `name`.

    Raises ValueError with the reason for everything else, and for what can never be due.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a cron expression of {len(text)} characters is too long (at most {LONGEST})")
    if not text.isascii() or not text.replace("\t", " ").isprintable():
        raise ValueError(f"{text!a} has characters that no cron expression has (ASCII only)")
    words = text.lower().split()
    if len(words) == 1 and words[0].startswith("@"):
        words = _macro(words[0]).split()
    fields = _fields(words)
    if "h" in text.lower():
        first = len(cronfields.FIELDS) - len(fields)
        fields = tuple(cronhash.settled(first + place, field, name) for place, field in enumerate(fields))
    return _of_fields(fields)


@lru_cache(maxsize=16384)
def _of_fields(fields: tuple[str, ...]) -> Cron:
    six = fields if len(fields) == 6 else ("0", *fields)
    seconds, minutes, hours, days, months, weekdays = map(cronfields.mask, range(6), six)
    cron = Cron(
        " ".join(fields),
        seconds,
        minutes,
        hours,
        days,
        months,
        weekdays,
        # The second does not matter: a schedule goes by its minutes and hours (Debian's cron has nothing finer).
        is_wildcard=six[MINUTE].startswith("*") or six[HOUR].startswith("*"),
        needs_both_days=six[DAY_OF_MONTH].startswith("*") or six[DAY_OF_WEEK].startswith("*"),
    )
    return _possible(cron)


def _macro(word: str) -> str:
    if word not in MACROS:
        raise ValueError(f'"{word}" is not a schedule (allowed: {", ".join(MACROS)}, @boot)')
    return MACROS[word]


def _fields(words: list[str]) -> tuple[str, ...]:
    if any("=" in word for word in words):
        raise ValueError("a cron expression sets no variables (the time zone goes into the key timezone)")
    if len(words) not in (5, 6):
        raise ValueError(
            f"a cron expression has five fields (minute, hour, day of month, month, day of week)"
            f" or six (second first), not {len(words)}"
        )
    return tuple(words)


def _possible(cron: Cron) -> Cron:
    """The expression itself if some day can match it.

    Years repeat after 28 years (but for 2100 and its like), so that a day which none of them has never comes; one that
    some year has comes within 40 years (29 February around 2100 is the rarest).
    """
    if any(cron.days_of(year, month) for year in range(2001, 2029) for month in range(1, 13)):
        return cron
    raise ValueError(f'"{cron.text}" can never be due: no such day is in those months')


# What days a month has depends on 28 shapes of months alone, and few expressions are picky about days.
@lru_cache(maxsize=16384)
def _matching_days(days: int, weekdays: int, both: bool, first: int, length: int) -> int:
    """The days, as a mask of the days 1 to 31, of a month with so many days that begins on weekday `first`."""
    by_day, by_weekday = _by_day(days, first, length), _by_weekday(weekdays, first, length)
    return (by_day & by_weekday if both else by_day | by_weekday) & (2 << length) - 2


def _by_day(days: int, first: int, length: int) -> int:
    if days >> LAST_DAY & 1:
        days |= 1 << length
    if days >> LAST_WORKDAY & 1:
        weekday = (first + length - 1) % 7
        days |= 1 << length - {_SATURDAY: 1, _SUNDAY: 2}.get(weekday, 0)
    return days


def _by_weekday(weekdays: int, first: int, length: int) -> int:
    every = weekdays & 127
    days = _EVERY_SEVENTH * ((every >> first | every << 7 - first) & 127) << 1
    for bit in range(7, weekdays.bit_length()):
        if weekdays >> bit & 1:
            week, weekday = divmod(bit, 7)
            day = 1 + (weekday - first) % 7
            days |= 1 << day + 7 * (week - 1 if week < LAST_WEEK else (length - day) // 7)
    return days


@lru_cache(maxsize=4096)
def _shape(year: int, month: int) -> tuple[int, int]:
    """The weekday a month begins on (0 is Sunday), and how many days it has."""
    return date(year, month, 1).toordinal() % 7, _length(year, month)


def _length(year: int, month: int) -> int:
    if month == 2 and year % 4 == 0 and (year % 100 or year % 400 == 0):
        return 29
    return _MONTH_LENGTHS[month]


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1

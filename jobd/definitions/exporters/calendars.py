"""jobd's schedules as systemd's calendar expressions: one line for each way in which a day can match."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from jobd.core.cron import Cron
from jobd.core.cronfields import LAST_DAY, LAST_WEEK, LAST_WORKDAY
from jobd.core.once import Once
from jobd.core.spans import EPOCH

_NAMES = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_WEEK = frozenset(range(7))
_MONTH = frozenset(range(1, 32))
_WORKDAYS = frozenset(range(1, 6))


@dataclass(frozen=True, slots=True)
class _Days:
    """Days of a month that all have to match: which weekdays, and which dates in systemd's form."""

    weekdays: frozenset[int] = _WEEK
    dates: str = "-*"

    def on(self, weekdays: frozenset[int]) -> _Days | None:
        """Those that are also one of these weekdays; None if none can be."""
        both = self.weekdays & weekdays
        return _Days(both, self.dates) if both else None


def of_cron(rule: Cron) -> list[str]:
    """The OnCalendar= lines that name the same local times. Raises ValueError where there are none."""
    months = "*" if rule.months == 0x1FFE else listed(_values(rule.months, 1, 12), 1, 12)
    times = [
        listed(_values(mask, 0, high), 0, high)
        for mask, high in ((rule.hours, 23), (rule.minutes, 59), (rule.seconds, 59))
    ]
    return [f"{_weekdays(days.weekdays)}*-{months}{days.dates} {':'.join(times)}" for days in _days(rule)]


def of_once(rule: Once) -> str:
    """The OnCalendar= of a time that comes once."""
    at = EPOCH + timedelta(seconds=rule.wall)
    return f"{at:%Y-%m-%d %H:%M:%S}" + (" UTC" if rule.has_offset else "")


def _days(rule: Cron) -> list[_Days]:
    by_date, by_weekday = list(_by_date(rule.days)), list(_by_weekday(rule.weekdays))
    if rule.needs_both_days:
        found = [both for one in by_date for other in by_weekday if (both := _both(one, other)) is not None]
    else:
        found = [*by_date, *by_weekday]
    return list(dict.fromkeys(found))


def _by_date(mask: int) -> Iterable[_Days]:
    if numbers := _values(mask, 1, 31):
        yield _Days(dates=f"-{listed(numbers, 1, 31)}")
    if mask >> LAST_DAY & 1:
        yield _Days(dates="~01")
    if mask >> LAST_WORKDAY & 1:
        # The last day where that is a workday, else the Friday one or two days before.
        yield from (_Days(_WORKDAYS, "~01"), _Days(frozenset({5}), "~02"), _Days(frozenset({5}), "~03"))


def _by_weekday(mask: int) -> Iterable[_Days]:
    if plain := frozenset(_values(mask, 0, 6)):
        yield _Days(plain)
    for week in range(1, LAST_WEEK + 1):
        if days := frozenset(_values(mask >> 7 * week, 0, 6)):
            first = 7 * week - 6
            yield _Days(days, "~07/1" if week == LAST_WEEK else f"-{first:02}..{min(first + 6, 31):02}")


def _both(date: _Days, weekday: _Days) -> _Days | None:
    if weekday.dates == "-*":
        return date.on(weekday.weekdays)
    if date.dates == "-*":
        return weekday.on(date.weekdays)
    raise ValueError("a day of the month together with the n-th or last weekday of it cannot be said")


def _weekdays(days: Collection[int]) -> str:
    return "" if len(days) == 7 else ",".join(_NAMES[day] for day in sorted(days)) + " "


def _values(mask: int, low: int, high: int) -> list[int]:
    return [value for value in range(low, high + 1) if mask >> value & 1]


def listed(values: Sequence[int], low: int, high: int) -> str:
    """Some values in systemd's form: `*`, `00/15`, `09..17`, `01,15`."""
    if list(values) == list(range(low, high + 1)):
        return "*"
    step = values[1] - values[0] if len(values) > 2 else 0
    if step > 1 and list(values) == list(range(values[0], high + 1, step)):
        return f"{values[0]:02}/{step}"
    return ",".join(_runs(values))


def _runs(values: Sequence[int]) -> Iterable[str]:
    start = 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[index - 1] + 1:
            first, last = values[start], values[index - 1]
            yield from (
                [f"{first:02}..{last:02}"] if last - first > 1 else (f"{one:02}" for one in range(first, last + 1))
            )
            start = index

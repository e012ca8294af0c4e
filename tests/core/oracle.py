"""What SEMANTICS says of cron and DST, found the slow way: each minute of UTC is converted with zoneinfo and looked at.

Nothing here is jobd's: fields are read anew, and days are counted one by one. To look at many expressions, a window of
minutes keeps for each value of each field which of its minutes have it (bit n is minute n).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from hashlib import sha256
from zoneinfo import ZoneInfo

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
_FIELDS = ("second", "minute", "hour", "day of month", "month", "day of week")
_BOUNDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_NAMES = {name: n for n, name in enumerate(_MONTHS, 1)} | {name: n for n, name in enumerate(_DAYS)}


@lru_cache(maxsize=100_000)
def values(field: int, text: str, name: str = "") -> frozenset[str]:
    """What a field holds: numbers as text, and `l`, `lw`, `5l`, `1#2` as they are; Sunday is 0."""
    found: set[str] = set()
    low, high = _BOUNDS[field]
    for item in text.lower().split(","):
        span, _, step = item.partition("/")
        if span[0] == "h":
            found |= _drawn(field, span, int(step or 0), name)
        elif field == 3 and span[0] == "l":
            found.add(span)
        elif field == 5 and (span[-1] == "l" or "#" in span):
            day, mark, nth = span.partition("#") if "#" in span else (span[:-1], "l", "")
            found.add(f"{_number(day) % 7}{mark}{nth}")
        else:
            start, _, end = (f"{low}-{high}" if span == "*" else span).partition("-")
            last = _number(end) if end else (high if step else _number(start))
            found |= {str(n % 7 if field == 5 else n) for n in range(_number(start), last + 1, int(step or 1))}
    return frozenset(found)


def _number(text: str) -> int:
    return _NAMES[text] if text in _NAMES else int(text)


def _drawn(field: int, span: str, step: int, name: str) -> set[str]:
    """The values of an H: taken out of the whole range one by one."""
    low, high = _BOUNDS[field][0], {3: 28, 5: 6}.get(field, _BOUNDS[field][1])
    if span != "h":
        low, high = map(_number, span[2:-1].split("-"))
    every = list(range(low, high + 1))
    number = int(sha256(f"{_FIELDS[field]} of {name}".encode()).hexdigest()[:16], 16)
    first = number % min(step or len(every), len(every))
    return {str(n) for n in (every[first::step] if step else every[first : first + 1])}


@cache
def _day_values(day: date) -> tuple[tuple[int, str], ...]:
    """(field, value) of everything that a day is."""
    weekday = day.isoweekday() % 7
    rest = [day + n * DAY for n in range(1, 32) if (day + n * DAY).month == day.month]
    same = [n for n in range(1, day.day + 1) if day.replace(day=n).isoweekday() % 7 == weekday]
    found = [(3, str(day.day)), (4, str(day.month)), (5, str(weekday)), (5, f"{weekday}#{len(same)}")]
    if not rest:
        found.append((3, "l"))
    if day.isoweekday() < 6 and all(later.isoweekday() > 5 for later in rest):
        found.append((3, "lw"))
    if all(later.isoweekday() % 7 != weekday for later in rest):
        found.append((5, f"{weekday}l"))
    return tuple(found)


class Minutes:
    """Local minutes, and which of them an expression matches."""

    def __init__(self, walls: Iterable[datetime]) -> None:
        self._having: dict[tuple[int, str], int] = defaultdict(int)
        self._fields: dict[tuple[int, str, str], int] = {}
        for n, wall in enumerate(walls):
            for having in ((1, str(wall.minute)), (2, str(wall.hour)), *_day_values(wall.date())):
                self._having[having] |= 1 << n

    def matching(self, six: tuple[str, ...], name: str, both_days: bool) -> int:
        minutes, hours, days, months, weekdays = (self._field(n, six[n], name) for n in range(1, 6))
        return minutes & hours & months & (days & weekdays if both_days else days | weekdays)

    def _field(self, field: int, text: str, name: str) -> int:
        key = field, text, name if "h" in text.lower() else ""
        if key not in self._fields:
            found = 0
            for value in values(field, text, key[2]):
                found |= self._having.get((field, value), 0)
            self._fields[key] = found
        return self._fields[key]


class Window:
    """So many minutes of UTC in a zone. Of a change of the offset all skipped and repeated times must lie inside."""

    def __init__(self, zone: str, start: datetime, minutes: int) -> None:
        info = ZoneInfo(zone)
        self.start, self.minutes = int(start.timestamp()), minutes
        shown = [datetime.fromtimestamp(self.start + 60 * n, info) for n in range(minutes)]
        walls = [wall.replace(tzinfo=None, fold=0) for wall in shown]
        self.real = Minutes(walls)
        self.second_pass = sum(1 << n for n, wall in enumerate(shown) if wall.fold)
        again = {wall for wall, aware in zip(walls, shown, strict=True) if aware.fold}
        self.first_pass = sum(1 << n for n, wall in enumerate(walls) if wall in again and not shown[n].fold)
        self.gaps = [
            (n, Minutes(walls[n - 1] + k * MINUTE for k in range(1, (walls[n] - walls[n - 1]) // MINUTE)))
            for n in range(1, minutes)
            if walls[n] - walls[n - 1] > MINUTE
        ]

    def fires(
        self,
        expression: str,
        name: str = "",
        *,
        gap: str | None = None,
        overlap: str | None = None,
        day_match: str = "or",
    ) -> list[int]:
        """The instants due, as seconds since 1970."""
        six = tuple(expression.split())
        six = six if len(six) == 6 else ("0", *six)
        is_wildcard = six[1][0] == "*" or six[2][0] == "*"
        both = six[3][0] == "*" or six[5][0] == "*" or day_match == "and"
        found = self.real.matching(six, name, both)
        overlap = overlap or ("both" if is_wildcard else "first")
        found &= ~{"first": self.second_pass, "second": self.first_pass, "both": 0}[overlap]
        seconds = sorted(int(second) for second in values(0, six[0], name))
        due = {self.start + 60 * n + second for n in _bits(found) for second in seconds}
        due |= self._out_of_gaps(six, name, both, gap or ("skip" if is_wildcard else "run"), seconds)
        return sorted(due)

    def _out_of_gaps(self, six: tuple[str, ...], name: str, both: bool, gap: str, seconds: list[int]) -> set[int]:
        due: set[int] = set()
        for after, skipped in self.gaps if gap != "skip" else ():
            found, ends = skipped.matching(six, name, both), self.start + 60 * after
            if gap == "shift":
                due |= {ends + 60 * n + second for n in _bits(found) for second in seconds}
            elif found:
                due.add(ends)
        return due


def _bits(mask: int) -> list[int]:
    text, found, at = f"{mask:b}"[::-1], [], -1
    while (at := text.find("1", at + 1)) >= 0:
        found.append(at)
    return found


@cache
def transitions(zone: str, first_year: int, last_year: int) -> tuple[datetime, ...]:
    """The minutes of UTC in which the zone's offset changes."""
    info, found = ZoneInfo(zone), []
    at, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    before = at.astimezone(info).utcoffset()
    while at < end:
        later = at + DAY
        after = later.astimezone(info).utcoffset()
        if after != before:
            step = at
            while (step + timedelta(hours=1)).astimezone(info).utcoffset() == before:
                step += timedelta(hours=1)
            while (step + MINUTE).astimezone(info).utcoffset() == before:
                step += MINUTE
            found.append(step + MINUTE)
        at, before = later, after
    return tuple(found)

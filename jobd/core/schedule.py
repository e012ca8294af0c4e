"""When a job is due: expressions as rules, and rules with a zone as a timetable of instants; deciding is `due`'s."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from jobd.core import calendars, cron, once, zones
from jobd.core.cron import Cron
from jobd.core.dst import Clockwork
from jobd.core.model import Schedule
from jobd.core.once import Once
from jobd.core.spans import EPOCH, seconds, show_seconds

_SECOND = timedelta(seconds=1)
_LONGEST_CHAIN = 10_000
"""Slots that are worked out one after the other at most: a quarter of a second."""
_LAST = (datetime(9900, 1, 1, tzinfo=UTC) - EPOCH) // _SECOND
"""From here on the calendar is too short to look 50 years ahead."""


@dataclass(frozen=True, slots=True)
class Every:
    """Due again and again after the same span of real time."""

    text: str
    period: timedelta

    def next_after(self, instant: datetime, anchor: datetime) -> datetime | None:
        """The first `anchor + k * period`, k at least 1, after `instant`; None where it is after the year 9999."""
        try:
            return anchor + max((instant - anchor) // self.period + 1, 1) * self.period
        except OverflowError:
            return None

    def count(self, after: datetime, until: datetime, anchor: datetime) -> int:
        """How many of them lie after `after` and not after `until`."""
        first, last = ((instant - anchor) // self.period for instant in (after, until))
        return max(0, last - max(first, 0))


@dataclass(frozen=True, slots=True)
class After:
    """Due a span of real time after the end of the job's last run, and never while one is under way."""

    text: str
    span: timedelta


@dataclass(frozen=True, slots=True)
class Boot:
    """Due once for each start of the host."""

    text: str = "@boot"


Rule = Cron | Once | Every | After | Boot


def parse(expression: str, name: str = "", *, day_match: Literal["or", "and"] = "or") -> Rule:
    """The rule in a text of the job `name`: cron, `@hourly` and its kin, `@boot`, `every 15m`, `after 15m`, `at T`.

    Raises ValueError with the reason for everything else, and for what can never be due.
    """
    if not isinstance(expression, str) or not expression.strip():
        raise ValueError('a schedule is a text such as "30 2 * * *", "@hourly" or "every 15m"')
    word, *rest = expression.split(maxsplit=1)
    match word.lower():
        case "every":
            text, span = _span("every", "".join(rest).strip())
            return Every(text, span)
        case "after":
            text, span = _span("after", "".join(rest).strip())
            return After(text, span)
        case "at":
            return once.parse("".join(rest).strip())
        case "@boot" | "@reboot" if not rest:
            return Boot()
        case _:
            found = cron.parse(expression.strip(), name)
            return found.requiring_both_days() if day_match == "and" else found


class _Found(NamedTuple):
    """No instant of the calendar lies between `since` and `second`, and `at` is that second with the jitter."""

    since: int
    second: int
    at: datetime


class Timetable:
    """The instants at which a job is due by the clock. Instants are aware datetimes in UTC.

    What events bring about (`has_boot`, `after`) is known here and worked out by `occasions`. `anchor` is what `every`
    counts from: the job's last slot, or the instant it was first seen; `name` is the job's, which `jitter` and `H` go
    by. Raises ValueError for an expression that `parse` refuses, one that can never be due, and an unknown time zone.
    """

    __slots__ = ("_clockworks", "_everies", "_exclude", "_found", "_jitter", "after", "has_boot", "zone")

    def __init__(self, schedule: Schedule, host_zone: str, name: str = "") -> None:
        self.zone = zones.zone(schedule.timezone or host_zone)
        rules = [parse(expression, name, day_match=schedule.day_match) for expression in schedule.expressions]
        self._everies = tuple(rule for rule in rules if isinstance(rule, Every))
        self._clockworks = tuple(
            _clockwork(rule, schedule, self.zone) for rule in rules if isinstance(rule, Cron | Once)
        )
        self._found: _Found | None = None
        self._exclude = schedule.exclude
        self._jitter = _offset(name, schedule.jitter_seconds)
        self.has_boot = any(isinstance(rule, Boot) for rule in rules)
        self.after = min((rule.span for rule in rules if isinstance(rule, After)), default=None)

    @property
    def is_interval(self) -> bool:
        """Nothing but `every` and `after`: the clock on the wall does not matter to it."""
        return bool(self._everies or self.after) and not self._clockworks

    @property
    def goes_by_the_clock(self) -> bool:
        """All its instants are found in the calendar: only the rules of its time zone, or of cron, can move them."""
        return bool(self._clockworks) and not self._everies and self.after is None

    @property
    def goes_by_real_time(self) -> bool:
        """Some of its instants, at least, do not move with the clock on the wall."""
        return self.is_interval or self.after is not None

    def next_after(self, instant: datetime, anchor: datetime) -> datetime | None:
        """The first instant due after `instant`, never `instant` itself; None if nothing comes within 50 years."""
        found: list[datetime | None] = [every.next_after(instant, anchor) for every in self._everies]
        if self._clockworks:
            found.append(self._next_of_clock((instant - EPOCH) // _SECOND + 1 - self._jitter))
        return min((at for at in found if at is not None), default=None)

    def _next_of_clock(self, second: int) -> datetime | None:
        """The first instant of the calendar at or after a second, before jitter.

        A slot is asked for when it becomes the next one, when it has come, and from each instant between: what was
        found last mostly answers.
        """
        known = self._found
        if known is not None and known.since <= second <= known.second:
            return known.at
        nexts = [one.next_from(second) for one in self._clockworks] if second < _LAST else []
        first = min((at for at in nexts if at is not None), default=None)
        if first is None:
            return None
        self._found = known = _Found(second, first, EPOCH + timedelta(seconds=first + self._jitter))
        return known.at

    def bar(self, instant: datetime) -> str | None:
        """Why a slot starts nothing: the calendar that holds its day in the job's zone; None where none does."""
        if not self._exclude:
            return None
        day = self.zone.local((instant - EPOCH) // _SECOND).date()
        name = calendars.holding(self._exclude, day)
        return f"excluded: {name}" if name else None

    def between(self, after: datetime, until: datetime, limit: int, anchor: datetime) -> list[datetime]:
        """The first `limit` instants due after `after` and not after `until`, in order."""
        found: list[datetime] = []
        while len(found) < limit:
            at = self.next_after(after, anchor)
            if at is None or at > until:
                break
            found.append(at)
            # A slot is what `every` counts from, also one that a cron expression of the same job brought about.
            after = anchor = at
        return found

    def newest(self, after: datetime, until: datetime, count: int, anchor: datetime) -> list[datetime]:
        """The last `count` instants due after `after` and not after `until`, in order.

        The cost depends on `count` and hardly on how many there are.
        """
        if len(self._everies) + bool(self._clockworks) > 1 and self._everies:
            return self._newest_of_a_chain(after, until, count, anchor)
        found = self.between(after, until, count + 1, anchor)
        if len(found) <= count:
            return found
        # Slots are mostly spread evenly: as long a time as the oldest of them take is the first guess for the newest.
        few, middle, many = timedelta(0), found[-1] - after, until - after
        while many - few > _SECOND:
            found = self.between(until - middle, until, 2 * count + 1, anchor)
            if count <= len(found) <= 2 * count:
                return found[-count:]
            few, many = (middle, many) if len(found) < count else (few, middle)
            middle = (few + many) / 2
        return self.between(until - many, until, 100 * count, anchor)[-count:]

    def _newest_of_a_chain(self, after: datetime, until: datetime, count: int, anchor: datetime) -> list[datetime]:
        """The same where intervals count from slots of other expressions: each slot follows from the one before.

        Of very many the oldest are passed over: the first slot of the calendar puts the intervals right again.
        """
        total = self.about(after, until, anchor)
        if total > _LONGEST_CHAIN:
            after = until - (until - after) * _LONGEST_CHAIN // total
        newest: deque[datetime] = deque(maxlen=count)
        while (at := self.next_after(after, anchor)) is not None and at <= until:
            newest.append(at)
            after = anchor = at
        return list(newest)

    def about(self, after: datetime, until: datetime, anchor: datetime) -> int:
        """How many instants are due after `after` and not after `until`, changes of the offset not counted."""
        start, end = ((at - EPOCH) // _SECOND - self._jitter for at in (after, until))
        return sum(clockwork.about(start, end) for clockwork in self._clockworks) + sum(
            every.count(after, until, anchor) for every in self._everies
        )

    def remark(self, instant: datetime) -> str:
        """What is special about a slot, in phrases like `first pass of the repeated hour`; mostly empty."""
        return "; ".join(filter(None, (*self._clock_remarks(instant), self.bar(instant))))

    def _clock_remarks(self, instant: datetime) -> list[str]:
        """What a moved clock and jitter have to do with an instant."""
        second, rest = divmod(instant - EPOCH, _SECOND)
        second -= self._jitter
        due = [] if rest else [one for one in self._clockworks if one.next_from(second) == second]
        if not due:
            return []
        moved = next(filter(None, (clockwork.remark(second) for clockwork in due)), "")
        return [moved, f"jitter +{show_seconds(self._jitter)}" if self._jitter else ""]


def _span(word: str, text: str) -> tuple[str, timedelta]:
    span = seconds(text)
    if span < 1:
        raise ValueError(f"{word} {text} is too often (at least {word} 1s)")
    return f"{word} {show_seconds(span)}", timedelta(seconds=span)


def _offset(name: str, jitter_seconds: float) -> int:
    """How many seconds later than its schedule says a job is due: the same for ever, spread evenly over jobs."""
    most = int(jitter_seconds)
    if most < 2:
        return 0
    return int.from_bytes(hashlib.sha256(f"jitter {name}".encode()).digest()[:8]) % most


def _clockwork(rule: Cron | Once, schedule: Schedule, zone: zones.Zone) -> Clockwork:
    if isinstance(rule, Once) and rule.has_offset:
        zone = zones.zone("UTC")
    gap = schedule.dst_gap or ("skip" if rule.is_wildcard else "run")
    overlap = schedule.dst_overlap or ("both" if rule.is_wildcard else "first")
    return Clockwork(rule, zone, gap, overlap)

"""When a job is due: expressions as rules, and rules with a zone as a timetable of instants; deciding is `due`'s."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobd.core import cron, zones
from jobd.core.cron import Cron
from jobd.core.dst import Clockwork
from jobd.core.model import Schedule
from jobd.core.spans import EPOCH, seconds, show_seconds

_SECOND = timedelta(seconds=1)
_NOT_YET = {
    "after": "after D (D after the end of the last run)",
    "at": "at T (once, at an instant)",
}


@dataclass(frozen=True, slots=True)
class Every:
    """Due again and again after the same span of real time."""

    text: str
    period: timedelta

    def next_after(self, instant: datetime, anchor: datetime) -> datetime:
        """The first `anchor + k * period`, k at least 1, after `instant`."""
        return anchor + max((instant - anchor) // self.period + 1, 1) * self.period

    def count(self, after: datetime, until: datetime, anchor: datetime) -> int:
        """How many of them lie after `after` and not after `until`."""
        first, last = ((instant - anchor) // self.period for instant in (after, until))
        return max(0, last - max(first, 0))


Rule = Cron | Every


def parse(expression: str) -> Rule:
    """The rule in a text: cron of five fields, `@hourly` and its kin, or `every 15m`.

    Raises ValueError with the reason for everything else.
    """
    if not isinstance(expression, str) or not expression.strip():
        raise ValueError('a schedule is a text such as "30 2 * * *", "@hourly" or "every 15m"')
    word, *rest = expression.split(maxsplit=1)
    match word.lower():
        case "every":
            return _every("".join(rest).strip())
        case "after" | "at" as later:
            raise ValueError(f"{_NOT_YET[later]} is not supported by this version yet")
        case _:
            return cron.parse(expression.strip())


class Timetable:
    """The instants at which a job is due. Instants are aware datetimes in UTC.

    `anchor` is what `every` counts from: the job's last slot, or the instant it was first seen. Raises ValueError for
    an expression that `parse` refuses, one that can never be due, and an unknown time zone.
    """

    __slots__ = ("_clockworks", "_everies", "zone")

    def __init__(self, schedule: Schedule, host_zone: str) -> None:
        self.zone = zones.zone(schedule.timezone or host_zone)
        rules = [parse(expression) for expression in schedule.expressions]
        self._everies = tuple(rule for rule in rules if isinstance(rule, Every))
        self._clockworks = tuple(_clockwork(rule, schedule, self.zone) for rule in rules if isinstance(rule, Cron))

    @property
    def is_interval(self) -> bool:
        """Nothing but `every`: the clock on the wall does not matter to it."""
        return bool(self._everies) and not self._clockworks

    def next_after(self, instant: datetime, anchor: datetime) -> datetime | None:
        """The first instant due after `instant`, never `instant` itself; None if nothing comes within 50 years."""
        found = [every.next_after(instant, anchor) for every in self._everies]
        if self._clockworks:
            second = (instant - EPOCH) // _SECOND + 1
            for clockwork in self._clockworks:
                if (at := clockwork.next_from(second)) is not None:
                    found.append(EPOCH + timedelta(seconds=at))
        return min(found, default=None)

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

    def about(self, after: datetime, until: datetime, anchor: datetime) -> int:
        """How many instants are due after `after` and not after `until`, changes of the offset not counted."""
        start, end = (after - EPOCH) // _SECOND, (until - EPOCH) // _SECOND
        walls = (
            clockwork.cron.count_walls(start + self._offset(start), end + self._offset(end))
            for clockwork in self._clockworks
        )
        return sum(walls) + sum(every.count(after, until, anchor) for every in self._everies)

    def _offset(self, second: int) -> int:
        return self.zone.span(second).offset

    def remark(self, instant: datetime) -> str:
        """What a moved clock has to do with a slot: a phrase like `first pass of the repeated hour`, mostly empty."""
        second, rest = divmod(instant - EPOCH, _SECOND)
        if rest:
            return ""
        remarks = (clockwork.remark(second) for clockwork in self._clockworks if clockwork.next_from(second) == second)
        return next(filter(None, remarks), "")


def _every(text: str) -> Every:
    period = seconds(text)
    if period < 1:
        raise ValueError(f"every {text} is too often (at least every 1s)")
    return Every(f"every {show_seconds(period)}", timedelta(seconds=period))


def _clockwork(rule: Cron, schedule: Schedule, zone: zones.Zone) -> Clockwork:
    gap = schedule.dst_gap or ("skip" if rule.is_wildcard else "run")
    overlap = schedule.dst_overlap or ("both" if rule.is_wildcard else "first")
    wanted = rule.requiring_both_days() if schedule.day_match == "and" else rule
    return Clockwork(wanted, zone, gap, overlap)

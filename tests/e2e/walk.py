"""A walk of the wall clock with a model beside it: which slots of cron jobs must start their run, and which may."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CORRECTION = 3 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT = 60
_MAX_CATCH_UP = 100
_SLACK = timedelta(seconds=2)
"""How long after a step the daemon may have taken to look at its jobs."""


@dataclass
class Model:
    """A cron job in UTC, due each `period` at `phase` after its beginning, that lets any number of runs overlap."""

    period: timedelta
    policy: str
    watermark: datetime
    phase: timedelta = timedelta(0)
    must: set[datetime] = field(default_factory=set)
    may: set[datetime] = field(default_factory=set)
    """Slots that fall on the edge of a rule, where the instant of the look at them decides."""
    decided: set[datetime] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.first_seen = self.watermark

    def due(self, after: datetime, until: datetime) -> list[datetime]:
        """The newest instants after `after` and not after `until`: as many as get a row of their own."""
        last = (until - _EPOCH - self.phase) // self.period
        kept = _KEPT + (_MAX_CATCH_UP if self.policy == "all" else 0)
        first = max((after - _EPOCH - self.phase) // self.period + 1, last - kept + 1)
        return [_EPOCH + self.phase + n * self.period for n in range(first, last + 1)]

    def step(self, at: datetime, by: timedelta) -> None:
        """The clock was set by so much, and stands at `at` now."""
        if self.watermark - at > CORRECTION or (by < -CORRECTION and self.watermark > at):
            self.watermark = at
            self.may.update(self.due(at - _SLACK, at))
        if self.watermark < self.first_seen <= at:
            self.watermark = self.first_seen  # before that it owes nothing, whenever the clock was right
        kept = self.due(self.watermark, at)
        missed = [slot for slot in kept if slot not in self.decided]
        if not missed:
            return
        shared = self._shared_row(kept)
        late = [slot for slot in missed if at - slot >= MINUTE + _SLACK]
        edge = [slot for slot in missed if MINUTE - _SLACK <= at - slot < MINUTE + _SLACK]
        prompt = [slot for slot in missed if at - slot < MINUTE - _SLACK]
        self.must.update(prompt)
        self.may.update(edge)
        self._catch_up(late, at, is_correction=by > CORRECTION, newer=bool(prompt), unsure=bool(edge))
        self.must -= shared
        self.may |= shared
        self.decided.update(missed, shared)
        self.watermark = at

    def _shared_row(self, kept: list[datetime]) -> set[datetime]:
        """Where the row stands that all older slots share: it depends on whether the next minute began meanwhile."""
        around = {kept[0] - self.period, kept[0], kept[0] + self.period}
        return around if kept[0] - self.period > self.watermark else set()

    def _catch_up(self, late: list[datetime], at: datetime, *, is_correction: bool, newer: bool, unsure: bool) -> None:
        if self.policy == "skip" or not late or (newer and (self.policy == "latest" or is_correction)):
            return
        if self.policy == "all" and not is_correction:
            self.must.update(late[1 - _MAX_CATCH_UP :])
            self.may.update(late[-_MAX_CATCH_UP:])
            return
        age = at - late[-1]
        if self.policy == "all" or age <= HOUR - _SLACK:
            (self.may if unsure else self.must).add(late[-1])
        elif age <= HOUR + _SLACK:
            self.may.add(late[-1])

    def live(self, until: datetime) -> None:
        """Time has gone by."""
        for slot in self.due(self.watermark, until):
            if slot not in self.decided:
                self.must.add(slot)
                self.decided.add(slot)
            self.watermark = slot


def steps(dice: random.Random, now: datetime) -> Iterator[timedelta]:
    """Sixty steps: the edges of the rules, a clock that lost its battery, and a walk at random."""
    sizes = [SECOND, 59 * SECOND, 61 * SECOND, HOUR, CORRECTION - 2 * MINUTE, CORRECTION + MINUTE, DAY, 30 * DAY]
    edges = [sign * size for size in sizes for sign in (1, -1)] * 3
    walk = [timedelta(seconds=dice.uniform(-2.9, 2.9) * 3600) for _ in range(8)]
    dead_battery = now - datetime(1970, 1, 2, tzinfo=UTC)
    edges += walk
    dice.shuffle(edges)
    yield from edges[:20]
    for _ in range(2):
        yield -dead_battery
        yield dead_battery
    yield from edges[20:]


def landing(by: timedelta, now: datetime) -> timedelta:
    """A long step, changed a little so that it ends half a second before a minute, an hour or noon."""
    grid = MINUTE if abs(by) < DAY else HOUR if abs(by) < 2 * DAY else 12 * HOUR
    if abs(by) < HOUR:
        return by
    rest = (now + by + SECOND / 2 - _EPOCH) % grid
    return by + (grid - rest)

"""What looks like a mistake in when jobs run: doubts about valid definitions, each with the place it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from jobd.core.model import Job
from jobd.core.schedule import Timetable
from jobd.core.spans import EPOCH, show_seconds
from jobd.core.zones import Span, Zone
from jobd.definitions.defined import Defined
from jobd.definitions.problems import Problem

Lasts = Callable[[str], float | None]
"""How many seconds a job's runs usually take; None where nobody knows."""

_CROWD, _MIDNIGHT_CROWD = 10, 5
"""So many jobs in one minute are worth spreading; at midnight, where other things start too, fewer are."""
_LOOKED_AT = 5
_BECOMES = {"skip": "skips some", "queue": "passes some over", "replace": "ends runs before they are done"}
_YEAR = timedelta(days=366)
_MOMENT = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


def nobody_knows(_job: str) -> None:
    """The durations of jobs where there is nobody to ask."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An enabled job that is due by the clock, with its next slots."""

    one: Defined
    timetable: Timetable
    slots: tuple[datetime, ...]

    @property
    def job(self) -> Job:
        return self.one.job

    @property
    def period_seconds(self) -> float | None:
        """The shortest time between its next slots."""
        spans = [(b - a).total_seconds() for a, b in zip(self.slots, self.slots[1:], strict=False)]
        return min(spans, default=None)


def lint(definitions: Iterable[Defined], zone: str, now: datetime, lasts: Lasts = nobody_knows) -> Iterator[Problem]:
    """Every doubt about the schedules of some jobs; `zone` is the host's."""
    planned = [made for one in definitions if (made := _planned(one, zone, now)) is not None]
    for made in planned:
        for key, doubt in _doubts(made, zone, now, lasts):
            yield Problem(made.one.place(key), f"jobs.{made.job.name}.{key}", doubt)
    yield from _crowds(planned)


def _planned(one: Defined, zone: str, now: datetime) -> Planned | None:
    schedule = one.job.schedule
    if not one.job.enabled or not schedule.expressions:
        return None
    timetable = Timetable(schedule, zone, one.job.name)
    return Planned(one, timetable, tuple(timetable.between(now, now + 60 * _YEAR, _LOOKED_AT, now)))


def _doubts(made: Planned, zone: str, now: datetime, lasts: Lasts) -> Iterator[tuple[str, str]]:
    if doubt := _far_off(made, now):
        yield "schedule", doubt
    if doubt := _too_slow(made, lasts):
        yield "schedule", doubt
    if doubt := _timeout(made):
        yield "timeout", doubt
    if doubt := _in_gap(made, zone, now):
        yield "schedule", doubt


def _far_off(made: Planned, now: datetime) -> str | None:
    """Nothing is due, or not for long: mostly a date that has passed, or days that seldom meet."""
    if made.slots:
        first = made.slots[0]
        return f"is not due before {first:%Y-%m-%d}" if first - now > _YEAR else None
    if made.timetable.after is not None or made.timetable.has_boot:
        return None
    return "lies in the past: it is never due again"


def _too_slow(made: Planned, lasts: Lasts) -> str | None:
    """Its runs outlast its period as a rule. Nobody is asked about a job whose timeout keeps that from happening."""
    job, period = made.job, made.period_seconds
    if period is None or job.schedule.overlap == "allow" or 0 < job.timeout_seconds <= period:
        return None
    usual = lasts(job.name)
    if usual is None or usual <= period:
        return None
    took, apart, overlap = show_seconds(usual), show_seconds(period), job.schedule.overlap
    return f"has slots {apart} apart, but a run usually takes {took} (overlap: {overlap} {_BECOMES[overlap]})"


def _timeout(made: Planned) -> str | None:
    """A timeout that somebody wrote down lets a run outlast its period."""
    job, period = made.job, made.period_seconds
    if period is None or job.schedule.overlap != "skip" or "timeout" not in made.one.sources:
        return None
    if job.timeout_seconds <= period:
        return None
    timeout, apart = show_seconds(job.timeout_seconds), show_seconds(period)
    return f"{timeout} is longer than the {apart} between its slots: a run that needs it makes later slots be skipped"


def _in_gap(made: Planned, zone: str, now: datetime) -> str | None:
    """The next day on which the clock jumps over a time that it is due at."""
    if made.timetable.is_interval or not made.slots or made.job.schedule.dst_gap == "skip":
        return None
    for gap in _gaps(made.timetable.zone, now.year):
        at = EPOCH + timedelta(seconds=gap.end)
        if at > now and (doubt := _at_gap(made, zone, gap, at)):
            return doubt
    return None


def _at_gap(made: Planned, zone: str, gap: Span, at: datetime) -> str | None:
    length = timedelta(seconds=gap.after - gap.offset)
    day = f"{made.timetable.zone.local(gap.end):%Y-%m-%d}"
    slot = made.timetable.next_after(at - _MOMENT, at)
    moved = made.timetable.remark(slot) if slot is not None and slot <= at + length + _jitter(made) else ""
    if slot is not None and "DST gap" in moved:
        return f"falls into the hour that the clock skips on {day} in {made.timetable.zone.name}: {moved}"
    before = made.timetable.next_after(at - length - _MOMENT, at - length)
    if before is not None and before <= at + length + _jitter(made):
        return None  # it goes on around the gap: nobody misses what is in it
    pretended = Timetable(replace(made.job.schedule, dst_gap="run"), zone, made.job.name)
    slot = pretended.next_after(at - _MOMENT, at)
    if slot is None or slot > at + _jitter(made) or "DST gap" not in pretended.remark(slot):
        return None
    return f"fires nothing on {day}, when the clock skips its time in {made.timetable.zone.name} (dst: {{gap: run}})"


def _jitter(made: Planned) -> timedelta:
    return timedelta(seconds=made.job.schedule.jitter_seconds)


@lru_cache(maxsize=256)
def _gaps(zone: Zone, year: int) -> tuple[Span, ...]:
    """The spans of this year and the next that end with the clock jumping forward."""
    second = int(datetime(year, 1, 1, tzinfo=EPOCH.tzinfo).timestamp())
    end = second + 2 * 366 * 86400
    found = []
    while second < end:
        span = zone.span(second)
        if span.after > span.offset:
            found.append(span)
        second = span.end
    return tuple(found)


def _crowds(planned: Iterable[Planned]) -> Iterator[Problem]:
    """Minutes in which many jobs are due that nothing spreads, each told once, at the first of them."""
    minutes: dict[datetime, list[Planned]] = {}
    for made in planned:
        if made.slots and made.job.schedule.jitter_seconds == 0 and (made.period_seconds or 3600) > 60:
            minutes.setdefault(made.slots[0].replace(second=0, microsecond=0), []).append(made)
    for minute, several in sorted(minutes.items()):
        local = several[0].timetable.zone.local((minute - EPOCH) // _SECOND)
        if len(several) >= (_MIDNIGHT_CROWD if (local.hour, local.minute) == (0, 0) else _CROWD):
            yield _crowd(several, f"{local:%H:%M}")


def _crowd(several: list[Planned], clock: str) -> Problem:
    first, *others = sorted(several, key=lambda made: made.job.name)
    names = ", ".join(made.job.name for made in others[:3])
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    spread = "spread them with jitter: 10m, or H for the minute"
    doubt = f"is due at {clock} together with {names}{more} ({spread})"
    return Problem(first.one.place("schedule"), f"jobs.{first.job.name}.schedule", doubt)

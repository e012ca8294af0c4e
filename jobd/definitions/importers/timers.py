"""systemd timers with their services as drafts of jobs: the same instants, catch-up and work, and what has no word."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from jobd.definitions.importers import calendarcron, oncalendar, services, timespans, unitfiles
from jobd.definitions.importers.calendarrule import TimerRule
from jobd.definitions.importers.drafts import Batch, Draft
from jobd.definitions.importers.oncalendar import Calendar
from jobd.definitions.importers.reading import Reading
from jobd.definitions.importers.unitfiles import Setting, Unit
from jobd.definitions.problems import Malformed, Place, Problem

_SILENT = re.compile(
    r"Description|Documentation|SourcePath|DefaultDependencies|AccuracySec|RemainAfterElapse|FixedRandomDelay"
    r"|RefuseManualSt(?:art|op)|After|Before|Wants"
)
_STARTS = ("OnBootSec", "OnStartupSec", "OnActiveSec")
_REPEATS = {"OnUnitActiveSec": "every", "OnUnitInactiveSec": "after"}
_EVER = "52w"
"""systemd makes up for a missed time however long ago it was."""
_AS_SYSTEMD = {"gap": "skip", "overlap": "first"}


def batch(names: Iterable[str], zone: str, search: Sequence[str] = unitfiles.SEARCH) -> Batch:
    """The drafts of some timers, and why others gave none."""
    drafts: list[Draft] = []
    problems: list[Problem] = []
    for name in names:
        try:
            drafts += _drafts(unitfiles.load(name, search), zone, search)
        except Malformed as malformed:
            problems += malformed.problems
    return Batch(tuple(drafts), tuple(problems))


def at_path(path: str) -> tuple[list[str], tuple[str, ...]]:
    """The timers in a file or a directory, and where to look for units then: there first."""
    if os.path.isdir(path):
        found = sorted(name for name in os.listdir(path) if name.endswith(".timer") and "@." not in name)
        return found, (os.path.abspath(path), *unitfiles.SEARCH)
    folder, name = os.path.split(os.path.abspath(path))
    return [_timer_of(name)], (folder, *unitfiles.SEARCH)


def _timer_of(name: str) -> str:
    return f"{name.removesuffix('.service')}.timer" if not name.endswith(".timer") else name


@dataclass(slots=True)
class _Schedule:
    """What the times of a timer come to, all of one time zone."""

    timezone: str | None
    expressions: list[str] = field(default_factory=list)
    calendars: list[Calendar] = field(default_factory=list)
    period: timedelta | None = None

    @property
    def has_calendar(self) -> bool:
        return bool(self.calendars)


def _drafts(timer: Unit, zone: str, search: Sequence[str]) -> list[Draft]:
    reading = Reading(timer)
    service = reading.text("Timer", "Unit") or f"{timer.name.rpartition('.')[0]}.service"
    words, problems = _service(service, search)
    schedules = _schedules(reading)
    around = _around(reading, any(one.has_calendar for one in schedules))
    reading.rest("Unit", "Timer", silent=_SILENT)
    if description := reading.unit.text("Unit", "Description"):
        words.setdefault("description", description)
    if len(schedules) > 1:
        reading.problems.append(
            Problem(timer.place, "", f"its times are in {len(schedules)} time zones, and become as many jobs")
        )
    told = (*reading.problems, *problems)
    return [
        Draft((_stem(timer),), timer.place, words | _when(one) | around, (_rule(one, zone),), told) for one in schedules
    ]


def _rule(one: _Schedule, zone: str) -> TimerRule:
    return TimerRule(tuple(one.calendars), zone, one.period)


def _stem(timer: Unit) -> str:
    return timer.name.rpartition(".")[0].replace("@", "-")


def _service(name: str, search: Sequence[str]) -> tuple[dict[str, Any], list[Problem]]:
    if not name.endswith(".service"):
        return {}, [Problem(Place(name), "", f"{name} is no service: there is nothing to run")]
    try:
        return services.read(unitfiles.load(name, search))
    except Malformed as malformed:
        return {}, list(malformed.problems)


def _schedules(reading: Reading) -> list[_Schedule]:
    """The schedules of a timer, one for each time zone that its calendar expressions name."""
    found: dict[str | None, _Schedule] = {}
    for setting in reading.all("Timer", "OnCalendar"):
        try:
            calendar = oncalendar.parse(reading.filled(setting.value, setting))
        except ValueError as error:
            reading.tell(setting, f"is left out: {error}")
            continue
        one = found.setdefault(calendar.timezone, _Schedule(calendar.timezone))
        _calendar(reading, setting, calendar, one)
    first = next(iter(found.values())) if found else found.setdefault(None, _Schedule(None))
    _events(reading, first)
    return list(found.values())


def _calendar(reading: Reading, setting: Setting, calendar: Calendar, one: _Schedule) -> None:
    one.calendars.append(calendar)
    try:
        one.expressions += calendarcron.expressions(calendar)
    except ValueError as error:
        reading.tell(setting, f"is left out: {error}")


def _events(reading: Reading, one: _Schedule) -> None:
    """The times that count from an event: a start of the host, the last start of the work, its last end."""
    periods = {setting.value for key in _REPEATS for setting in reading.all("Timer", key)}
    # A first time that comes as late as each next one is what `every` and `after` do by themselves.
    starts = [one for key in _STARTS for one in reading.all("Timer", key) if one.value not in periods]
    has_first = any(reading.all("Timer", key) for key in _STARTS)
    for setting in starts:
        span = _span(reading, setting)
        if span:
            reading.tell(setting, "@boot is due as soon as jobd starts, not so much later")
        if setting.key != "OnBootSec":
            reading.tell(setting, "becomes @boot: once for each start of the host")
    if starts:
        one.expressions.insert(0, "@boot")
    for key, word in _REPEATS.items():
        for setting in reading.all("Timer", key):
            span = _span(reading, setting)
            if span is None or math.isinf(span):
                continue
            one.expressions.append(f"{word} {timespans.shown(span)}")
            period = timedelta(seconds=span)
            one.period = period if one.period is None else min(one.period, period)
            if not has_first and not one.has_calendar:
                reading.tell(
                    setting, f"counts from a first start that systemd leaves to others; {word} begins by itself"
                )


def _span(reading: Reading, setting: Setting) -> float | None:
    try:
        return timespans.span(setting.value)
    except ValueError as error:
        reading.tell(setting, f"is left out: {error}")
        return None


def _when(one: _Schedule) -> dict[str, Any]:
    if not one.expressions:
        return {}
    words: dict[str, Any] = {"schedule": one.expressions[0] if len(one.expressions) == 1 else list(one.expressions)}
    if one.timezone is not None:
        words["timezone"] = one.timezone
    if not one.has_calendar:
        return words
    if any(_restricts_both(expression) for expression in one.expressions):
        words["day_match"] = "and"
    # systemd passes over a time that is skipped, and over the second pass of one that is repeated.
    return words if one.timezone == "UTC" else words | {"dst": dict(_AS_SYSTEMD)}


def _restricts_both(expression: str) -> bool:
    fields = expression.split()
    return fields[0][0] in "*0123456789" and not fields[-1].startswith("*") and not fields[-3].startswith("*")


def _around(reading: Reading, has_calendar: bool) -> dict[str, Any]:
    """How strictly the times are meant: what was missed, and how they are spread."""
    words: dict[str, Any] = {"catch_up": "skip"}
    persistent = reading.all("Timer", "Persistent")
    if persistent and timespans.is_true(persistent[-1].value) and has_calendar:
        words = {"catch_up": "latest", "catch_up_window": _EVER}
    delays = reading.all("Timer", "RandomizedDelaySec")
    if delays and (span := _span(reading, delays[-1])):
        words["jitter"] = timespans.shown(span)
        if not timespans.is_true(reading.text("Timer", "FixedRandomDelay")):
            reading.tell(delays[-1], "systemd draws it anew each time; the job's jitter stays the same")
    for setting in reading.all("Timer", "WakeSystem")[-1:]:
        if timespans.is_true(setting.value):
            reading.tell(setting, "jobd does not wake the host; what was missed asleep falls under catch_up")
    for setting in reading.all("Timer", "Persistent")[-1:]:
        if timespans.is_true(setting.value):
            reading.tell(setting, f"systemd makes up for a time however long ago, jobd for one of the last {_EVER}")
    return words

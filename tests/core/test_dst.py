"""Schedules where clocks are moved: the measured cases by name (C5-C7); `test_oracle` compares them by the thousand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter

from jobd.core.model import Schedule
from jobd.core.schedule import Timetable

NEW_YORK = "America/New_York"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(expression: str, zone: str, start: str, hours: float, **settings: Any) -> list[str]:
    timetable = Timetable(Schedule((expression,), timezone=zone, **settings), "UTC")
    found = timetable.between(at(start) - timedelta(microseconds=1), at(start) + timedelta(hours=hours), 5000, LONG_AGO)
    return [f"{slot:%dT%H:%M}" for slot in found]


SPRING, AUTUMN = "2026-03-08T05:00", "2026-11-01T04:00"


@pytest.mark.parametrize(
    ("expression", "zone", "start", "hours", "expected"),
    [
        pytest.param("30 2 * * *", NEW_YORK, SPRING, 22.9, ["08T07:00"], id="fixed in the gap: once, after it"),
        pytest.param("0,30 2 * * *", NEW_YORK, SPRING, 22.9, ["08T07:00"], id="two in the gap: once"),
        pytest.param("30 2,3 * * *", NEW_YORK, SPRING, 22.9, ["08T07:00", "08T07:30"], id="in and after the gap"),
        pytest.param("0 2,3 * * *", NEW_YORK, SPRING, 22.9, ["08T07:00"], id="gap and its end: one instant"),
        pytest.param("* 2 * * *", NEW_YORK, SPRING, 22.9, [], id="wildcard in the gap: nothing"),
        pytest.param("30 1 * * *", NEW_YORK, AUTUMN, 24.9, ["01T05:30"], id="fixed in the overlap: first pass"),
        pytest.param(
            "*/20 1 * * *",
            NEW_YORK,
            AUTUMN,
            24.9,
            ["01T05:00", "01T05:20", "01T05:40", "01T06:00", "01T06:20", "01T06:40"],
            id="wildcard in the overlap: both passes",
        ),
        pytest.param("0 2 * * *", "Australia/Lord_Howe", "2026-10-03T14:00", 20, ["03T15:30"], id="half an hour"),
        pytest.param("0 0 * * *", "America/Havana", "2026-03-08T04:00", 20, ["08T05:00"], id="midnight gap"),
        pytest.param("0 12 * * *", "Pacific/Apia", "2011-12-30T00:00", 30, ["30T10:00", "30T22:00"], id="skipped day"),
        pytest.param("0 0,12 * * *", "Pacific/Apia", "2011-12-30T00:00", 20, ["30T10:00"], id="skipped day: once"),
        pytest.param("0 2 * * *", "Antarctica/Troll", "2026-03-29T00:00", 20, ["29T01:00"], id="two hours"),
    ],
)
def test_the_measured_cases_hold(expression: str, zone: str, start: str, hours: float, expected: list[str]) -> None:
    assert due(expression, zone, start, hours) == expected


@pytest.mark.parametrize("start", [SPRING, AUTUMN])
def test_a_quarter_hourly_job_never_pauses_and_never_doubles(start: str) -> None:
    found = due("*/15 * * * *", NEW_YORK, start, 6)
    assert len(found) == len(set(found)) == 25


@pytest.mark.parametrize(
    ("expression", "start", "settings", "expected"),
    [
        ("30 2 * * *", SPRING, {"dst_gap": "skip"}, []),
        ("30 2 * * *", SPRING, {"dst_gap": "shift"}, ["08T07:30"]),
        ("0,30 2 * * *", SPRING, {"dst_gap": "shift"}, ["08T07:00", "08T07:30"]),
        ("30 2,3 * * *", SPRING, {"dst_gap": "shift"}, ["08T07:30"]),
        ("*/30 2 * * *", SPRING, {"dst_gap": "run"}, ["08T07:00"]),
        ("30 1 * * *", AUTUMN, {"dst_overlap": "second"}, ["01T06:30"]),
        ("30 1 * * *", AUTUMN, {"dst_overlap": "both"}, ["01T05:30", "01T06:30"]),
        ("*/30 1 * * *", AUTUMN, {"dst_overlap": "first"}, ["01T05:00", "01T05:30"]),
        ("*/30 1 * * *", AUTUMN, {"dst_overlap": "second"}, ["01T06:00", "01T06:30"]),
    ],
)
def test_a_job_may_say_otherwise(expression: str, start: str, settings: dict[str, Any], expected: list[str]) -> None:
    assert due(expression, NEW_YORK, start, 22.9, **settings) == expected


@pytest.mark.parametrize(
    ("expression", "slot", "settings", "remark"),
    [
        ("30 2 * * *", "2026-03-08T07:00", {}, "shifted out of the DST gap 02:30 → 03:00"),
        ("30 2 * * *", "2026-03-08T07:30", {"dst_gap": "shift"}, "shifted out of the DST gap 02:30 → 03:30"),
        ("30 1 * * *", "2026-11-01T05:30", {}, "first pass of the repeated hour"),
        ("30 1 * * *", "2026-11-01T06:30", {"dst_overlap": "both"}, "second pass of the repeated hour"),
        ("30 1 * * *", "2026-11-01T06:30", {}, ""),
        ("30 2 * * *", "2026-03-09T06:30", {}, ""),
        ("0 3 * * *", "2026-03-08T07:00", {}, ""),
        ("*/15 * * * *", "2026-03-08T07:00", {}, ""),
    ],
)
def test_a_moved_slot_says_so(expression: str, slot: str, settings: dict[str, Any], remark: str) -> None:
    assert Timetable(Schedule((expression,), timezone=NEW_YORK, **settings), "UTC").remark(at(slot)) == remark


def test_remarks_of_a_skipped_day_and_of_half_an_hour_name_what_is_odd() -> None:
    apia = Timetable(Schedule(("0 12 * * *",), timezone="Pacific/Apia"), "UTC")
    assert apia.remark(at("2011-12-30T10:00")).endswith("2011-12-30 12:00 → 2011-12-31 00:00")
    lord_howe = Timetable(Schedule(("45 1 * * *",), timezone="Australia/Lord_Howe"), "UTC")
    assert lord_howe.remark(at("2026-04-04T14:45")) == "first pass of the repeated 30m"


def test_croniters_own_iteration_still_doubles_so_it_is_still_not_used() -> None:
    """C6: should this fail, croniter has changed its mind about repeated times."""
    start = datetime(2026, 11, 1, 0, 0, tzinfo=ZoneInfo(NEW_YORK))
    iterator = croniter("30 1 * * *", start)
    first, second = (iterator.get_next(datetime).astimezone(UTC) for _ in range(2))
    assert second - first == timedelta(hours=1)

"""`at T`: a time that comes once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobd.core.model import Schedule
from jobd.core.schedule import Timetable

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
YEARS = timedelta(days=9000)


def timetable(text: str, zone: str = "UTC", **settings: Any) -> Timetable:
    return Timetable(Schedule((f"at {text}",), timezone=zone, **settings), "UTC")


def due(text: str, zone: str, **settings: Any) -> list[str]:
    found = timetable(text, zone, **settings).between(NOON - YEARS, NOON + YEARS, 5, NOON)
    return [f"{slot:%Y-%m-%dT%H:%M}" for slot in found]


def test_it_comes_once_in_the_zone_of_the_job() -> None:
    assert due("2026-12-24T18:00", "Europe/Madrid") == ["2026-12-24T17:00"]
    madrid, eve = timetable("2026-12-24T18:00", "Europe/Madrid"), datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert madrid.next_after(eve, NOON) is None
    assert madrid.about(NOON, eve, NOON) == 1
    assert madrid.about(eve, NOON + YEARS, NOON) == 0
    assert not madrid.is_interval


@pytest.mark.parametrize("text", ["2026-12-24T18:00Z", "2026-12-24 18:00:00+00:00", "2026-12-24t13:00-0500"])
def test_with_an_offset_it_is_that_instant_whatever_the_zone(text: str) -> None:
    assert due(text, "Asia/Tokyo") == ["2026-12-24T18:00"]


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("2026-03-08T02:30", {}, ["2026-03-08T07:00"]),
        ("2026-03-08T02:30", {"dst_gap": "skip"}, []),
        ("2026-03-08T02:30", {"dst_gap": "shift"}, ["2026-03-08T07:30"]),
        ("2026-03-08T02:30-05:00", {"dst_gap": "skip"}, ["2026-03-08T07:30"]),
        ("2026-11-01T01:30", {}, ["2026-11-01T05:30"]),
        ("2026-11-01T01:30", {"dst_overlap": "second"}, ["2026-11-01T06:30"]),
        ("2026-11-01T01:30", {"dst_overlap": "both"}, ["2026-11-01T05:30", "2026-11-01T06:30"]),
    ],
)
def test_a_moved_clock_treats_it_like_a_fixed_time(text: str, settings: dict[str, Any], expected: list[str]) -> None:
    assert due(text, "America/New_York", **settings) == expected


def test_a_time_in_the_gap_says_so() -> None:
    gap = timetable("2026-03-08T02:30", "America/New_York")
    assert gap.remark(datetime(2026, 3, 8, 7, tzinfo=UTC)) == "shifted out of the DST gap 02:30 → 03:00"


def test_one_in_the_past_is_no_error_and_never_due() -> None:
    assert timetable("2001-01-01T00:00").next_after(NOON, NOON) is None


def test_it_is_found_as_far_as_it_may_lie() -> None:
    far = timetable("2199-12-31T23:59:59", "America/New_York")
    assert far.next_after(NOON, NOON) == datetime(2200, 1, 1, 4, 59, 59, tzinfo=UTC)

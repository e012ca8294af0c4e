"""Instants and spans read as people say them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobd.cli.times import clock, instant, lasted, moment, near, since, told

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def madrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Madrid")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (0.4, "now"),
        (12, "in 12 s"),
        (-89, "89 s ago"),
        (240, "in 4 min"),
        (-2 * 3600, "2 h ago"),
        (47 * 3600, "in 47 h"),
        (-3 * 86400, "3 d ago"),
    ],
)
def test_a_distance_is_told_in_one_unit(distance: float, text: str) -> None:
    assert near(NOW + timedelta(seconds=distance), NOW) == text


def test_today_is_told_by_its_time_alone_in_the_local_zone() -> None:
    assert clock(datetime(2026, 11, 23, 17, 30, tzinfo=UTC), NOW) == "18:30:00"


def test_another_day_has_its_date() -> None:
    assert clock(datetime(2026, 11, 23, 23, 30, tzinfo=UTC), NOW) == "2026-11-24 00:30:00"


def test_an_instant_of_the_api_is_told_with_its_distance() -> None:
    assert told("2026-11-23T12:04:00Z", NOW) == "13:04:00 (in 4 min)"
    assert told(None, NOW) == "-"


def test_instants_keep_their_microseconds() -> None:
    assert instant("2026-11-23T12:00:00.000001Z") - NOW == timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("15m", "2026-11-23T12:15:00+00:00"),
        ("+90", "2026-11-23T12:01:30+00:00"),
        ("18:00", "2026-11-23T17:00:00+00:00"),
        ("9:30", "2026-11-24T08:30:00+00:00"),
        ("2026-12-24T18:00", "2026-12-24T17:00:00+00:00"),
        ("2026-12-24", "2026-12-23T23:00:00+00:00"),
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00+00:00"),
    ],
)
def test_a_moment_is_understood_as_people_write_it(text: str, at: str) -> None:
    assert moment(text, NOW).isoformat() == at


@pytest.mark.parametrize("text", ["soon", "", "25:00", "2026-13-01", "-5m"])
def test_what_is_no_moment_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match="try 18:00"):
        moment(text, NOW)


def test_since_counts_back() -> None:
    assert since("2h", NOW) == NOW - timedelta(hours=2)
    assert since("2026-11-01", NOW).isoformat() == "2026-10-31T23:00:00+00:00"


def test_durations_have_two_units_at_most() -> None:
    assert [lasted(None), lasted(0.25), lasted(3725)] == ["-", "0.25s", "1h 2m"]

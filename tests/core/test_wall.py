"""A local time means the instant a person had in mind, also where the clock jumped or came back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.wall import at_wall, meant
from jobd.core.zones import zone

NOON = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "name", "at", "clock"),
    [
        ("2026-03-20T12:00:00Z", "Europe/Madrid", "2026-03-20T12:00", ""),
        ("2026-03-20t12:00:00+02:00", "Europe/Madrid", "2026-03-20T10:00", ""),
        ("2026-03-20T12:00", "Europe/Madrid", "2026-03-20T11:00", ""),
        ("2026-03-20 12:00:30", "Europe/Madrid", "2026-03-20T11:00:30", ""),
        ("2026-03-20", "Europe/Madrid", "2026-03-19T23:00", ""),
        ("12:59", "Europe/Madrid", "2026-03-20T11:59", ""),
        ("13:00", "Europe/Madrid", "2026-03-20T12:00", ""),
        ("13:01", "Europe/Madrid", "2026-03-19T12:01", ""),
        ("9:30", "Asia/Tokyo", "2026-03-20T00:30", ""),
        ("2026-03-08T02:30", "America/New_York", "2026-03-08T07:00", "gap"),
        ("2026-03-08T03:00", "America/New_York", "2026-03-08T07:00", ""),
        ("2026-03-08T01:59", "America/New_York", "2026-03-08T06:59", ""),
        ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30", "repeated"),
        ("2026-11-01T02:00", "America/New_York", "2026-11-01T07:00", ""),
        ("2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-03T15:30", "gap"),
        ("2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-04T14:45", "repeated"),
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T10:00", "gap"),
    ],
)
def test_a_text_means_an_instant(text: str, name: str, at: str, clock: str) -> None:
    found = meant(text, zone(name), NOON)
    assert (found.at, found.clock) == (datetime.fromisoformat(at).replace(tzinfo=UTC), clock)


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-02-30", "25:00", "2026-13-01T00:00", "12", "\x00", "9999-12-31T23:59"]
)
def test_what_is_no_instant_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match="is no instant"):
        meant(text, zone("Pacific/Kiritimati"), NOON)


ZONES = [
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Havana",
    "Pacific/Apia",
    "Africa/Casablanca",
]


@given(
    st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(microsecond=0)),
    st.sampled_from(ZONES),
)
def test_every_local_time_is_found_as_the_zone_database_has_it(wall: datetime, name: str) -> None:
    found, info = at_wall(wall, zone(name)), ZoneInfo(name)
    passes = {wall.replace(tzinfo=info, fold=fold).astimezone(UTC) for fold in (0, 1)}
    real = sorted(at for at in passes if at.astimezone(info).replace(tzinfo=None, fold=0) == wall)
    assert found.clock == ("gap", "", "repeated")[len(real)]
    assert found.at == real[0] if real else passes_the_gap(found.at, wall, info)


def passes_the_gap(at: datetime, wall: datetime, info: ZoneInfo) -> bool:
    """Whether the clock jumps over a local time just before an instant."""
    before = (at - timedelta(seconds=1)).astimezone(info).replace(tzinfo=None)
    return before < wall < at.astimezone(info).replace(tzinfo=None)

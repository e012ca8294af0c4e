"""Which names are zones (C11), and when their offsets change."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from jobd.core import zones
from jobd.core.zones import Zone

NO_ZONES = [
    *("", "/", "localtime", "posixrules", "Factory", "right/UTC", "posix/UTC", "Europe", "Europe/", "../UTC", "UTC "),
    *("/etc/passwd", "Europe/../UTC", "europe/berlin", "UTC\0", "zone.tab", "tzdata.zi", "Mars/Olympus", "x" * 5000),
    *("Ünter/X", "UTC+5", "+05:00", "EST5EDT,M3.2.0,M11.1.0"),
]


@pytest.mark.parametrize("name", NO_ZONES)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone"):
        zones.zone(name)


def test_a_near_miss_is_answered_with_the_zone_that_was_meant() -> None:
    with pytest.raises(ValueError, match="did you mean Europe/Madrid"):
        zones.zone("Europe/Madird")


def test_every_zone_of_the_database_is_accepted() -> None:
    for name in available_timezones() - {"localtime", "posixrules", "Factory"}:
        assert zones.zone(name).name == name


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/usr/share/zoneinfo/Europe/Madrid", "Europe/Madrid"),
        ("../usr/share/zoneinfo/Etc/UTC", "Etc/UTC"),
        ("/usr/share/zoneinfo/posix/America/Argentina/Ushuaia", "America/Argentina/Ushuaia"),
        ("/etc/localtime", None),
    ],
)
def test_the_link_of_the_host_names_its_zone(target: str, name: str | None) -> None:
    assert zones.name_in_link(target) == name


def test_the_host_is_in_the_first_zone_that_is_one_and_else_in_utc() -> None:
    assert zones.host_name([None, "", "nonsense", "Europe/Madrid\n", "UTC"]) == "Europe/Madrid"
    assert zones.host_name([None, "localtime"]) == "UTC"


ODD = ["Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo", "UTC"]


@pytest.mark.parametrize("name", [*ODD, "America/Noronha", "Africa/Cairo", "Pacific/Kwajalein", "Asia/Kathmandu"])
def test_spans_tell_the_offset_of_every_hour_in_whatever_order_they_are_asked(name: str) -> None:
    info, zone = ZoneInfo(name), Zone(name, ZoneInfo(name))
    start = datetime(1985, 1, 1, tzinfo=UTC)
    hours = list(range(0, 30 * 366 * 24, 5))
    random.Random(1).shuffle(hours)
    for hour in hours:
        at = start + timedelta(hours=hour)
        second = int(at.timestamp())
        span = zone.span(second)
        offset = at.astimezone(info).utcoffset()
        assert timedelta(seconds=span.offset) == offset
        assert span.start <= second < span.end


def test_a_span_knows_the_offsets_beside_it_to_the_second() -> None:
    change = int(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp())
    winter, summer = (Zone("Europe/Berlin", ZoneInfo("Europe/Berlin")).span(change - n) for n in (1, 0))
    assert (winter.end, winter.offset, winter.after) == (change, 3600, 7200)
    assert (summer.start, summer.before, summer.offset) == (change, 3600, 7200)


def test_a_span_is_never_cut_within_a_day_of_a_change() -> None:
    change = int(datetime(2011, 12, 30, 10, tzinfo=UTC).timestamp())
    for hours in range(-72, 72):
        fresh = Zone("Pacific/Apia", ZoneInfo("Pacific/Apia"))
        span = fresh.span(change + hours * 3600)
        assert change in (span.start, span.end), hours


def test_no_calendar_is_made_up_outside_the_years_there_are() -> None:
    with pytest.raises(OverflowError):
        zones.zone("UTC").span(10**12)


def test_a_forgotten_zone_is_read_again() -> None:
    before = zones.zone("Europe/Madrid")
    assert zones.zone("Europe/Madrid") is before
    zones.forget()
    assert zones.zone("Europe/Madrid") is not before

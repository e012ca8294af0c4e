"""Schedules by the thousand: jobd beside an oracle that looks at every minute, and beside cronsim."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from random import Random
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError

from jobd.core import cron
from jobd.core.model import Schedule
from jobd.core.schedule import Timetable
from tests.core import expressions, oracle, sweep

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = {
    "America/New_York": 2025,
    "America/Caracas": 2015,
    "America/Havana": 2025,
    "America/Santiago": 2025,
    "America/Sao_Paulo": 2017,
    "America/St_Johns": 2009,
    "Africa/Cairo": 2025,
    "Africa/Casablanca": 2025,
    "Antarctica/Troll": 2025,
    "Asia/Beirut": 2025,
    "Asia/Gaza": 2025,
    "Asia/Pyongyang": 2016,
    "Asia/Tehran": 2020,
    "Australia/Lord_Howe": 2025,
    "Europe/Berlin": 2025,
    "Europe/Dublin": 2025,
    "Pacific/Apia": 2010,
    "Pacific/Chatham": 2025,
    "Pacific/Easter": 2025,
    "Pacific/Kwajalein": 1992,
}
"""The first of three years in which the zone moved its clocks."""
CRONSIM_LEAVES_THE_RULE = {
    "Australia/Lord_Howe": "half an hour",
    "America/Caracas": "half an hour",
    "Asia/Pyongyang": "half an hour",
    "America/Havana": "midnight is skipped",
    "America/Santiago": "midnight is skipped",
    "America/Sao_Paulo": "midnight is skipped",
    "Africa/Cairo": "midnight is skipped",
    "Asia/Beirut": "midnight is skipped",
    "Asia/Tehran": "midnight is skipped",
    "Pacific/Apia": "midnight is skipped",
    "Pacific/Kwajalein": "midnight is skipped",
}
"""Where it drops or moves wildcard slots, and why (docs/schedules.md); only the oracle judges those."""
CRONSIM_NEVER_COMES_BACK = {"America/St_Johns": "at 00:01", "Pacific/Chatham": "at 02:45"}
"""Where it goes in circles over wildcards, so that it cannot even be asked."""


def changes(zone: str) -> list[sweep.Change]:
    return sweep.changes([zone], ZONES[zone], ZONES[zone] + 2)


def differences_from_the_oracle(zone: str, number: int) -> tuple[list[str], int]:
    texts = sweep.drawn(f"for {zone}", number)
    tallies = [sweep.compare(change, texts, Random(f"{zone} {change.at}")) for change in changes(zone)]
    return [one for tally in tallies for one in tally.differences], sum(tally.instants for tally in tallies)


@pytest.mark.parametrize("zone", ZONES)
def test_what_is_due_around_a_change_is_what_the_oracle_says(zone: str) -> None:
    found, instants = differences_from_the_oracle(zone, 20)
    assert not found
    assert instants > 100


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_what_is_due_around_a_change_is_what_the_oracle_says_of_two_thousand_expressions(zone: str) -> None:
    found, instants = differences_from_the_oracle(zone, 2000)
    assert not found
    assert instants > 10_000


@pytest.mark.parametrize("kind", ["six", "special", "hashed", "day_match: and"])
def test_the_oracle_agrees_on_each_kind_of_expression_in_a_year_without_changes(kind: str) -> None:
    draw, compared = Random(kind), 0
    window = oracle.Window("UTC", datetime(2026, 2, 15, tzinfo=UTC), 31 * 1440)
    while compared < 60:
        text = expressions.six(draw) if kind == "six" else expressions.five(draw, special=kind == "special")
        text = expressions.five(draw, hashed=True) if kind == "hashed" else text
        name, settings = f"job-{compared}", {"day_match": "and" if kind.startswith("day") else "or"}
        try:
            timetable = Timetable(Schedule((text,), timezone="UTC", **settings), "UTC", name)
        except ValueError:
            continue
        expected = window.fires(text, name, **settings)[:300]
        start = datetime.fromtimestamp(window.start, UTC) - timedelta(microseconds=1)
        found = timetable.between(start, start + timedelta(days=31), 300, LONG_AGO)
        assert [int(at.timestamp()) for at in found] == expected, (text, name, start)
        compared += 1


def test_what_is_refused_as_never_due_has_no_day_in_forty_years_and_nothing_else_is() -> None:
    draw, refused = Random("never"), 0
    days = [date(2001, 1, 1) + timedelta(days=n) for n in range(40 * 366)]
    noons = oracle.Minutes(datetime(day.year, day.month, day.day) for day in days)
    for _ in range(400):
        some = draw.choice(("28-31", "29", "30", "31", "30-31", "29,30", "1-7", "L"))
        month = draw.choice(("*", "2", "2,4", "feb,nov", "1", "4/2"))
        weekday = draw.choice(("*", "*", "1#5", "2#4,3L", "0", "*/7", "1#2"))
        text, day_match = f"0 0 {some} {month} {weekday}", draw.choice(("and", "or"))
        try:
            parsed = cron.parse(text)
            is_due = (parsed.requiring_both_days() if day_match == "and" else parsed) is not None
        except ValueError:
            is_due, refused = False, refused + 1
        both = weekday[0] == "*" or day_match == "and"
        assert is_due == bool(noons.matching(("0", *text.split()), "", both)), (text, day_match)
    assert refused > 20


def against_cronsim(zone: str, number: int) -> tuple[int, list[str], list[str]]:
    """How many (expression, change) were compared, and which fixed-time ones and which wildcards differ."""
    draw, known, compared = Random(f"cronsim {zone}"), changes(zone), 0
    differing: dict[bool, list[str]] = {False: [], True: []}
    for _ in range(number):
        text = expressions.five(draw, special=draw.random() < 0.1)
        try:
            CronSim(text, LONG_AGO)
            parsed = cron.parse(text)
        except (CronSimError, ValueError):
            continue  # the last Friday by its name, and days that never come
        for change in known if not (parsed.is_wildcard and zone in CRONSIM_NEVER_COMES_BACK) else ():
            start, most = change.at - timedelta(minutes=draw.randrange(120, 26 * 60)), 4 if parsed.is_wildcard else 6
            low = int(start.timestamp())
            found = list(islice(sweep.due(text, "", zone, low + 1, low + 3 * 86400), most))
            if found != said_by_cronsim(text, start.astimezone(ZoneInfo(zone)), len(found)):
                differing[parsed.is_wildcard].append(f"{text!r} {zone} from {start}")
            compared += 1
    return compared, differing[False], differing[True]


def said_by_cronsim(text: str, start: datetime, number: int) -> list[int]:
    found: list[int] = []
    for slot in CronSim(text, start):
        if len(found) == number:
            break
        second = int(slot.timestamp())
        if second not in found:  # two skipped times that it shifts to one instant
            found.append(second)
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_what_cronsim_says_is_what_is_due(zone: str) -> None:
    compared, fixed, wildcard = against_cronsim(zone, 30)
    assert compared > 10
    assert not fixed
    assert zone in CRONSIM_LEAVES_THE_RULE or not wildcard


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_what_cronsim_says_of_two_thousand_expressions_is_what_is_due_but_for_what_is_written_down(zone: str) -> None:
    compared, fixed, wildcard = against_cronsim(zone, 2000)
    assert compared > 1500
    assert not fixed
    assert bool(wildcard) == (zone in CRONSIM_LEAVES_THE_RULE), wildcard[:3]


@pytest.mark.parametrize("seed", range(20))
def test_far_from_changes_the_calendar_agrees_with_cronsim(seed: int) -> None:
    draw = Random(seed)
    for _ in range(20):
        text = expressions.five(draw)
        start = datetime(draw.randrange(1971, 2090), draw.randrange(1, 13), draw.randrange(1, 28), tzinfo=UTC)
        try:
            timetable, reference = Timetable(Schedule((text,)), "UTC"), CronSim(text, start)
        except (ValueError, CronSimError):
            continue
        for slot in timetable.between(start, start + timedelta(days=20000), 30, LONG_AGO):
            assert slot == next(reference), (text, start)


def test_the_oracle_itself_knows_the_measured_cases() -> None:
    spring = oracle.Window("America/New_York", datetime(2026, 3, 8, 5, tzinfo=UTC), 1440)
    autumn = oracle.Window("America/New_York", datetime(2026, 11, 1, 4, tzinfo=UTC), 1440)
    due = {
        (window, text): [f"{datetime.fromtimestamp(second, UTC):%H:%M}" for second in window.fires(text)]
        for window, text in (
            (spring, "30 2 * * *"),
            (spring, "* 2 * * *"),
            (spring, "0,30 2 * * *"),
            (autumn, "30 1 * * *"),
            (autumn, "*/30 1 * * *"),
        )
    }
    assert list(due.values()) == [["07:00"], [], ["07:00"], ["05:30"], ["05:00", "05:30", "06:00", "06:30"]]


def test_drawn_expressions_are_mostly_different_and_of_every_kind() -> None:
    texts = sweep.drawn("variety", 2000)
    assert len(set(texts)) > 1800
    kinds = Counter(
        kind for text in texts for kind in ("L", "#", "H", "LW", "-", "/", ",", "*/") if kind in text.upper()
    )
    assert min(kinds.values()) > 20
    assert 0.1 < sum(len(text.split()) == 6 for text in texts) / len(texts) < 0.2

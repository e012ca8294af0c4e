"""Expressions as rules, and rules as timetables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobd.core.model import Calendar, Schedule
from jobd.core.schedule import After, Boot, Every, Timetable, parse

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def timetable(*expressions: str, **settings: Any) -> Timetable:
    return Timetable(Schedule(expressions, **settings), "UTC")


def test_every_is_a_period_of_real_time() -> None:
    assert parse("every 1h 30m") == Every("every 1h 30m", timedelta(minutes=90))
    assert parse("  Every\t90 ") == Every("every 1m 30s", timedelta(seconds=90))


def test_events_bring_about_slots_that_no_clock_knows() -> None:
    assert parse("after 1h 30m") == After("after 1h 30m", timedelta(minutes=90))
    assert parse(" @boot ") == parse("@REBOOT") == Boot()
    mixed = timetable("@boot", "after 2h", "after 30m", "0 * * * *")
    assert (mixed.has_boot, mixed.after, mixed.is_interval) == (True, timedelta(minutes=30), False)
    assert mixed.next_after(NOON, NOON) == NOON + HOUR
    assert timetable("@boot", "after 2h").next_after(NOON, NOON) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "a schedule is a text"),
        ("   ", "a schedule is a text"),
        ("every", "is not a duration"),
        ("every soon", "is not a duration"),
        ("every 0s", "at least every 1s"),
        ("every 999ms", "at least every 1s"),
        ("every 200000d", "out of range"),
        ("after", "is not a duration"),
        ("after 0s", "at least after 1s"),
        ("at", "is not a date and time"),
        ("at noon", "is not a date and time"),
        ("at 2026-12-24", "is not a date and time"),
        ("at 2026-12-24T18", "is not a date and time"),
        ("at 2026-12-24T18:00:00.5", "is not a date and time"),
        ("at 2026-02-29T18:00", "not on the calendar"),
        ("at 2026-12-24T24:01", "not on the calendar"),
        ("at 1999-12-31T23:59:59", "the years 2000 to 2199"),
        ("at 2200-01-01T00:00", "the years 2000 to 2199"),
        ("at 9999-12-31T23:59-23:59", "the years 2000 to 2199"),
        ("hourly", "five fields"),
    ],
)
def test_what_is_no_schedule_is_refused_with_its_reason(expression: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(expression)
    assert reason in str(refused.value)


def test_a_timetable_refuses_unknown_zones_and_days_that_never_come() -> None:
    with pytest.raises(ValueError, match="is not a time zone"):
        timetable("@daily", timezone="Mars/Olympus")
    with pytest.raises(ValueError, match="never be due"):
        timetable("0 0 30 2 1", day_match="and")


def test_the_hosts_zone_is_the_default() -> None:
    at_home = Timetable(Schedule(("0 12 * * *",)), "Asia/Kathmandu")
    assert at_home.zone.name == "Asia/Kathmandu"
    assert at_home.next_after(NOON, NOON) == datetime(2026, 5, 2, 6, 15, tzinfo=UTC)


def test_next_is_strictly_after_also_within_a_second() -> None:
    minutely = timetable("* * * * *")
    assert minutely.next_after(NOON, NOON) == NOON + timedelta(minutes=1)
    assert minutely.next_after(NOON - timedelta(microseconds=1), NOON) == NOON
    assert minutely.next_after(NOON + timedelta(microseconds=1), NOON) == NOON + timedelta(minutes=1)


def test_the_earliest_of_several_expressions_comes_first_and_shared_instants_once() -> None:
    mixed = timetable("0 * * * *", "*/30 13 * * *", "every 45m")
    found = mixed.between(NOON, NOON + 2 * HOUR, 10, NOON)
    assert [f"{at:%H:%M}" for at in found] == ["12:45", "13:00", "13:30", "14:00"]


def test_every_counts_from_the_last_slot_whatever_brought_it_about() -> None:
    found = timetable("0 * * * *", "every 25m").between(NOON, NOON + 2 * HOUR, 5, NOON)
    assert [f"{at:%H:%M}" for at in found] == ["12:25", "12:50", "13:00", "13:25", "13:50"]


def test_every_counts_from_its_anchor_and_keeps_its_fraction() -> None:
    anchor = NOON + timedelta(microseconds=123_456)
    quarterly = timetable("every 15m")
    assert quarterly.next_after(NOON - HOUR, anchor) == anchor + timedelta(minutes=15)
    assert quarterly.next_after(anchor, anchor) == anchor + timedelta(minutes=15)
    assert quarterly.next_after(NOON + HOUR, anchor) == anchor + timedelta(minutes=60)
    assert quarterly.remark(anchor) == ""


def test_no_expression_is_never_due() -> None:
    assert timetable().next_after(NOON, NOON) is None
    assert timetable().between(NOON, NOON + HOUR, 5, NOON) == []


def test_a_job_that_runs_on_29_february_is_found_a_century_boundary_away() -> None:
    rare = timetable("0 0 29 2 1", day_match="and")
    assert rare.next_after(datetime(2073, 1, 1, tzinfo=UTC), NOON) == datetime(2112, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    "expressions", [("* * * * *",), ("every 7s",), ("*/3 9-17 * * 1-5", "0 0 1 * *"), ("0 0 * * 0",)]
)
@pytest.mark.parametrize("count", [1, 7, 60])
def test_the_newest_are_the_end_of_all(expressions: tuple[str, ...], count: int) -> None:
    table, start = timetable(*expressions), NOON - timedelta(days=3, seconds=11)
    everything = table.between(start, NOON, 100_000, start)
    assert table.newest(start, NOON, count, start) == everything[-count:]
    assert table.about(start, NOON, start) == len(everything)


@pytest.mark.parametrize("expressions", [("every 90s", "*/5 * * * *"), ("every 90s", "every 61s", "every 2m")])
@pytest.mark.parametrize("span", [timedelta(seconds=8026), timedelta(days=3)])
def test_the_newest_are_the_end_of_all_where_intervals_count_from_other_slots(
    expressions: tuple[str, ...], span: timedelta
) -> None:
    mixed = timetable(*expressions)
    everything = mixed.between(NOON, NOON + span, 100_000, NOON)
    assert mixed.newest(NOON, NOON + span, 61, NOON) == everything[-61:]
    assert len(mixed.newest(NOON - 900 * span, NOON, 61, NOON - 900 * span)) == 61


def test_the_newest_of_decades_cost_no_decades() -> None:
    calls = 0

    class Counting(Timetable):
        def next_after(self, instant: datetime, anchor: datetime) -> datetime | None:
            nonlocal calls
            calls += 1
            return super().next_after(instant, anchor)

    for expression in ("* * * * *", "every 1s", "* 3 1 1 *", "*/2 * * * 1-5"):
        table = Counting(Schedule((expression,)), "Europe/Berlin")
        found = table.newest(datetime(1970, 1, 2, tzinfo=UTC), NOON, 60, datetime(1970, 1, 2, tzinfo=UTC))
        assert len(found) == 60
        assert found[-1] == max(found)
        assert table.next_after(found[-1], datetime(1970, 1, 2, tzinfo=UTC)) > NOON
    assert calls < 20_000


def jittery(name: str, *expressions: str, seconds: float = 600.0, **settings: Any) -> Timetable:
    return Timetable(Schedule(expressions, jitter_seconds=seconds, **settings), "UTC", name)


def test_jitter_is_a_span_of_the_jobs_own_that_never_changes() -> None:
    at = {name: jittery(name, "@hourly").next_after(NOON, NOON) for name in ("backup", "report", "cleanup")}
    assert at == {
        "backup": NOON + timedelta(minutes=6, seconds=4),
        "report": NOON + timedelta(minutes=8, seconds=35),
        "cleanup": NOON + timedelta(minutes=9, seconds=48),
    }
    spread = {jittery(f"job-{n}", "0 13 * * *").next_after(NOON, NOON) for n in range(3000)}
    assert len(spread) > 590
    found = [at for at in spread if at is not None]
    assert NOON + HOUR <= min(found) <= max(found) < NOON + HOUR + timedelta(minutes=10)


def test_jitter_shifts_every_instant_of_the_clock_and_no_interval() -> None:
    late = timedelta(minutes=6, seconds=4)
    hourly = jittery("backup", "@hourly")
    assert hourly.between(NOON, NOON + 3 * HOUR, 9, NOON) == [NOON + n * HOUR + late for n in range(3)]
    assert hourly.newest(NOON, NOON + 30 * HOUR, 2, NOON) == [NOON + 28 * HOUR + late, NOON + 29 * HOUR + late]
    assert hourly.about(NOON, NOON + 3 * HOUR, NOON) == 3
    assert jittery("backup", "every 15m").next_after(NOON, NOON) == NOON + timedelta(minutes=15)
    assert jittery("backup", "@hourly", seconds=0.0).next_after(NOON, NOON) == NOON + HOUR


def test_jitter_comes_after_the_moved_clock_and_says_so() -> None:
    table = jittery("backup", "30 2 * * *", timezone="America/New_York")
    at = table.next_after(datetime(2026, 3, 8, tzinfo=UTC), NOON)
    assert at == datetime(2026, 3, 8, 7, 6, 4, tzinfo=UTC)
    assert table.remark(at) == "shifted out of the DST gap 02:30 → 03:00; jitter +6m 4s"
    assert table.remark(at + timedelta(seconds=1)) == ""


def test_a_day_of_a_calendar_bars_its_slots_in_the_jobs_own_zone() -> None:
    rest = (Calendar("bank", (("2026-01-01", "2026-01-01"),)), Calendar("holidays", (("2026-12-24", "2027-01-06"),)))
    table = timetable("0 20 * * *", timezone="America/New_York", exclude=rest)
    evening = datetime(2026, 12, 24, 1, tzinfo=UTC)
    assert table.bar(evening) is None, "still the 23rd in New York"
    assert table.bar(evening + timedelta(days=1)) == "excluded: holidays"
    assert table.bar(evening + timedelta(days=14)) == "excluded: holidays"
    assert table.bar(evening + timedelta(days=15)) is None
    assert table.bar(datetime(2026, 1, 2, 1, tzinfo=UTC)) == "excluded: bank"
    assert table.remark(evening + timedelta(days=1)) == "excluded: holidays"


@pytest.mark.parametrize("expression", ["* * * * *", "0 0 29 2 *", "every 36500d"])
@pytest.mark.parametrize("year", [9950, 9999])
def test_what_no_calendar_reaches_is_never_due(expression: str, year: int) -> None:
    end = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert Timetable(Schedule((expression,), "America/New_York"), "UTC").next_after(end, end) is None

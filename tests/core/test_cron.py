"""What a cron expression may say (C9), and which local times it names (C8)."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from jobd.core import cron
from tests.core.oracle import Minutes

EPOCH = datetime(1970, 1, 1)


def wall(text: str) -> int:
    return int((datetime.fromisoformat(text) - EPOCH).total_seconds())


def first(expression: str, after: str) -> str | None:
    found = cron.parse(expression).first_wall(wall(after))
    return None if found is None else (EPOCH + timedelta(seconds=found)).isoformat(" ", "minutes")


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("30 2 * * *", "2026-03-01 02:30", "2026-03-01 02:30"),
        ("30 2 * * *", "2026-03-01 02:30:01", "2026-03-02 02:30"),
        ("*/15 9-17 * * mon-fri", "2026-01-02 17:46", "2026-01-05 09:00"),
        ("0 0 31 * *", "2026-04-01", "2026-05-31 00:00"),
        ("59 23 31 12 *", "2026-12-31 23:59:59", "2027-12-31 23:59"),
        ("0 0 29 2 *", "2026-01-01", "2028-02-29 00:00"),
        ("0 0 29 2 *", "2097-01-01", "2104-02-29 00:00"),
        ("0 0 * * 7", "2026-01-01", "2026-01-04 00:00"),
        ("0 0 * * 5-7", "2026-01-03 01:00", "2026-01-04 00:00"),
        ("0 0 * * 1-7/3", "2026-01-05 01:00", "2026-01-08 00:00"),
        ("59/15 * * * *", "2026-01-01 00:00", "2026-01-01 00:59"),
        ("5/15 * * * *", "2026-01-01 00:06", "2026-01-01 00:20"),
        ("0 0 1 JAN-Mar/2 *", "2026-01-02", "2026-03-01 00:00"),
        ("0 0 1 jun-jul *", "2026-06-02", "2026-07-01 00:00"),
        ("0 0 1 JUL *", "2026-06-02", "2026-07-01 00:00"),
        ("@yearly", "2026-01-02", "2027-01-01 00:00"),
        ("@Midnight", "2026-01-02 00:01", "2026-01-03 00:00"),
        ("@weekly", "2026-01-01", "2026-01-04 00:00"),
        ("@hourly", "2026-01-01 10:00:01", "2026-01-01 11:00"),
        ("  0\t4 * * * ", "2026-01-01", "2026-01-01 04:00"),
    ],
)
def test_the_next_matching_minute_is_found(expression: str, after: str, expected: str) -> None:
    assert first(expression, after) == expected


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 0 13 * 5", [2, 9, 13, 16, 23, 30]),
        ("0 0 */2 * 5", [9, 23]),
        ("0 0 13 * */5", []),
        ("0 0 1-31 * 5", list(range(1, 32))),
        ("0 0 *,13 * 5", [2, 9, 16, 23, 30]),
    ],
)
def test_day_of_month_and_day_of_week_are_ored_unless_one_begins_with_a_star(expression: str, days: list[int]) -> None:
    start, found = wall("2026-01-01"), []
    parsed = cron.parse(expression)
    while (at := parsed.first_wall(start)) is not None and at < wall("2026-02-01"):
        found.append((EPOCH + timedelta(seconds=at)).day)
        start = at + 60
    assert found == days


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 0 L * *", "01-31 02-28 03-31 04-30"),
        ("0 0 LW * *", "01-30 02-27 03-31 04-30"),
        ("0 0 15,L 2 *", "02-15 02-28"),
        ("0 0 1-2,lw 1 *", "01-01 01-02 01-30"),
        ("0 0 * * 5L", "01-30 02-27 03-27 04-24"),
        ("0 0 * * friL", "01-30 02-27 03-27 04-24"),
        ("0 0 * 1 0L", "01-25"),
        ("0 0 * 1 7L", "01-25"),
        ("0 0 * * SUN#1", "01-04 02-01 03-01 04-05"),
        ("0 0 * * 7#5", "03-29"),
        ("0 0 * 3 1#1,3#2,5L", "03-02 03-11 03-27"),
        ("0 0 * 2 1-2,4#2", "02-02 02-03 02-09 02-10 02-12 02-16 02-17 02-23 02-24"),
        ("0 0 L 2 1#1", "02-02 02-28"),
        ("0 0 */30 1 6L", "01-31"),
    ],
)
def test_days_of_a_certain_month_are_counted_from_its_ends(expression: str, days: str) -> None:
    parsed, found, start = cron.parse(expression), [], wall("2026-01-01")
    while (at := parsed.first_wall(start)) is not None and at < wall("2026-05-01"):
        found.append(f"{EPOCH + timedelta(seconds=at):%m-%d}")
        start = at + 60
    assert " ".join(found) == days


def test_a_leap_day_is_the_last_day_of_its_february() -> None:
    assert first("0 0 L 2 *", "2028-01-01") == "2028-02-29 00:00"


def test_six_fields_put_the_second_first() -> None:
    found, parsed, start = [], cron.parse("50,5/20 30 2 * * *"), wall("2026-03-01")
    for _ in range(5):
        at = parsed.first_wall(start)
        assert at is not None
        found.append(f"{EPOCH + timedelta(seconds=at):%d %X}")
        start = at + 1
    assert found == ["01 02:30:05", "01 02:30:25", "01 02:30:45", "01 02:30:50", "02 02:30:05"]


def test_seconds_do_not_make_a_schedule_a_wildcard() -> None:
    assert not cron.parse("* 30 2 * * *").is_wildcard
    assert cron.parse("0 */30 2 * * *").is_wildcard
    assert cron.parse("0 0 */2 * * *").is_wildcard


NAMES = [f"job-{n}" for n in range(400)]


def fields_of(expression: str, name: str) -> list[str]:
    return cron.parse(expression, name).text.split()


def test_h_is_the_same_for_the_same_job_for_ever() -> None:
    assert cron.parse("H H H H H", "nightly-backup").text == "36 16 12 12 5"
    assert cron.parse("H H/4 H(10-20) * H(mon-fri)", "nightly-backup").text == "36 0-23/4 16 * 2"
    assert cron.parse("H/15 9 * * *,H H", "").text == cron.parse("h/15 9 * * *,h h", "").text


@pytest.mark.parametrize(
    ("place", "values"),
    [(0, range(60)), (1, range(60)), (2, range(24)), (3, range(1, 29)), (4, range(1, 13)), (5, range(7))],
)
def test_h_reaches_every_value_of_its_field_and_no_day_that_a_month_lacks(place: int, values: range) -> None:
    assert {int(fields_of("H H H H H H", name)[place]) for name in NAMES} == set(values)


def test_h_spreads_evenly_and_each_field_by_itself() -> None:
    drawn = [cron.parse("H H * * *", name).text for name in NAMES]
    assert len(set(drawn)) > 300
    hours = [int(text.split()[1]) for text in drawn]
    assert max(hours.count(hour) for hour in range(24)) < 40


def test_h_of_a_range_stays_inside_it_and_h_with_a_step_keeps_the_step() -> None:
    for name in NAMES:
        assert 9 <= int(fields_of("0 H(9-17) * * *", name)[1]) <= 17
        minutes = cron.parse("H/15 * * * *", name).minutes
        assert minutes.bit_count() == 4
        assert minutes >> 15 == minutes & (1 << 45) - 1
        few = cron.parse("H(0-29)/10 * * * *", name).minutes
        assert few.bit_count() == 3
        assert few < 1 << 30


def test_a_step_longer_than_its_range_leaves_one_value() -> None:
    assert {fields_of("H(0-5)/10 2 * * *", name)[0] for name in NAMES} == {str(n) for n in range(6)}
    assert {cron.parse("H/60 * * * *", name).minutes.bit_count() for name in NAMES} == {1}


def test_names_with_an_h_are_no_hashes() -> None:
    assert cron.parse("0 0 * mar THU", "a").text == "0 0 * mar thu"
    assert cron.parse("@hourly", "a") == cron.parse("0 * * * *", "b")


def test_day_match_and_wants_both_days() -> None:
    both = cron.parse("0 0 13 * 5").requiring_both_days()
    found = both.first_wall(wall("2026-01-01"))
    assert found == wall("2026-02-13")


def test_croniters_stars_for_full_ranges_do_not_change_the_rule() -> None:
    assert not cron.parse("0-59 2 * * *").is_wildcard
    assert not cron.parse("0 0 13 * 0-7").needs_both_days
    assert cron.parse("*/60 2 * * *").is_wildcard


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "five fields"),
        ("* * * *", "not 4"),
        ("0 0 30 2 * * 2026", "not 7"),
        ("@boot daily", "five fields"),
        ("@fortnightly", "is not a schedule"),
        ("0 0 L * 5 * *", "not 7"),
        ("0 0 15-L * *", "5L or FRIL in the day of week"),
        ("0 0 L-3 * *", "L or LW in the day of month"),
        ("0 0 L/2 * *", "L or LW in the day of month"),
        ("0 0 5L * *", "5L or FRIL in the day of week"),
        ("0 0 * * L", "of the week it is 5L or FRIL"),
        ("0 0 * * 8L", "out of range for the day of week"),
        ("0 0 * * FOOL", "sun to sat"),
        ("0 L * * *", "go into the day of month"),
        ("0 0 * * 1#0", "no such week (1 to 5, or 1L)"),
        ("0 0 * * 1#6", "no such week"),
        ("0 0 * * 1#12", "no such week"),
        ("0 0 * * 8#1", "out of range for the day of week"),
        ("0 0 * * 1-5#1", "# is written 1#2"),
        ("0 0 * * #1", "# is written 1#2"),
        ("0 0 1#1 * *", "in the day of week"),
        ("H(5-5) * * * *", "range of one value"),
        ("H(9-5) * * * *", "reversed range"),
        ("H(0-60) * * * *", "out of range for the minute"),
        ("* * H(0-5) * *", "out of range for the day of month"),
        ("H/61 * * * *", "step"),
        ("H/0 * * * *", "step"),
        ("H-5 * * * *", "is not a minute"),
        ("H() * * * *", "H is written"),
        ("0 0 1 * 1#5 2026 1", "not 7"),
        ("60 0 0 * * *", "out of range for the second (0 to 59)"),
        ("*/61 0 0 * * *", "out of range for the second (1 to 60)"),
        ("R R * * *", "must say when"),
        ("0 0 ? * 1", "write *"),
        ("0 0 15W * *", "nearest weekday"),
        ("60 * * * *", "out of range for the minute (0 to 59)"),
        ("* 24 * * *", "out of range for the hour (0 to 23)"),
        ("* * 0 * *", "out of range for the day of month (1 to 31)"),
        ("* * * 13 *", "out of range for the month (1 to 12)"),
        ("* * * * 8", "out of range for the day of week (0 to 7)"),
        ("5-1 * * * *", "reversed range"),
        ("* * * * fri-sun", "try 5-7"),
        ("* * * nov-feb *", "reversed range"),
        ("* * * sep-jul *", "reversed range"),
        ("* * * jan-jan *", "write 1"),
        ("* * * * 7-7", "range of one value"),
        ("*/0 * * * *", "step"),
        ("*/61 * * * *", "step"),
        ("* */25 * * *", "step"),
        ("* * * * */8", "step"),
        ("* * * * 1/2", "needs the range"),
        ("*-5 * * * *", "is not a minute"),
        ("-5 * * * *", "is not a minute"),
        ("1,,2 * * * *", "is not a minute"),
        ("1, * * * *", "is not a minute"),
        ("1.5 * * * *", "is not a minute"),
        ("mon * * * *", "is not a minute"),
        ("* * * * january", "is not a day of week"),
        ("0 0 * mon *", "is not a month"),
        ("99999999999999999999 * * * *", "out of range"),
        ("٣ * * * *", "ASCII"),
        ("5\u00a0* * * *", "ASCII"),
        ("5 * * * *\n", "ASCII"),
        ("CRON_TZ=UTC 0 0 * * *", "key timezone"),
        ("0 0 30 2 *", "never be due"),
        ("0 0 31 4,6,9,11 *", "never be due"),
        ("0 0 31 2,4 *", "never be due"),
        ("0 0 0 30 2 *", "never be due"),
        ("0 0 31 2 */2", "never be due"),
        ("0," * 200 + "0 * * * *", "too long"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_reason(expression: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        cron.parse(expression)
    assert reason in str(refused.value)


def test_a_day_that_only_the_weekday_saves_is_due_until_both_must_match() -> None:
    saved = cron.parse("0 0 30 2 1")
    assert saved.first_wall(wall("2026-02-03")) == wall("2026-02-09")
    with pytest.raises(ValueError, match="never be due"):
        saved.requiring_both_days()


@pytest.mark.parametrize(("expression", "due"), [("0 0 29 2 1#5", "2044-02-29"), ("0 0 8 * 1#2", "2026-06-08")])
def test_rare_days_that_must_match_both_are_found(expression: str, due: str) -> None:
    assert cron.parse(expression).requiring_both_days().first_wall(wall("2026-01-01")) == wall(due)


@pytest.mark.parametrize("expression", ["0 0 1 * 1#5", "0 0 29 2 1#4", "0 0 1-21 * friL", "0 0 LW * sat,sun"])
def test_days_that_never_meet_are_refused_where_both_must_match(expression: str) -> None:
    with pytest.raises(ValueError, match="never be due"):
        cron.parse(expression).requiring_both_days()


def test_every_day_there_is_meets_every_weekday_within_fifty_years() -> None:
    for weekday in range(7):
        rare = cron.parse(f"0 0 29 2 {weekday}").requiring_both_days()
        for year in (1970, 2026, 2072, 2101):
            assert rare.first_wall(wall(f"{year}-03-01")) is not None


def test_importing_cron_does_not_import_croniter() -> None:
    probe = "import sys, jobd.core.schedule; sys.exit('croniter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_counting_agrees_with_enumerating() -> None:
    draw = random.Random(5)
    for expression in ("*/7 3-20/4 * * *", "0 0 13 * 5", "15 6 1,15,31 */3 *", "* * * 2 0", "59 23 * * 6"):
        parsed, six = cron.parse(expression), ("0", *expression.split())
        for _ in range(5):
            start = wall("2024-02-01") + draw.randrange(40 * 86400)
            end = start + draw.randrange(9 * 86400)
            minutes = Minutes(EPOCH + timedelta(minutes=n) for n in range(start // 60 + 1, end // 60 + 1))
            slow = minutes.matching(six, "", parsed.needs_both_days).bit_count()
            assert parsed.count_walls(start, end) == slow, (expression, start, end)


def test_seconds_are_counted_too() -> None:
    minutely, parsed = cron.parse("5-40/7 3 * * *"), cron.parse("1,30-33,59 5-40/7 3 * * *")
    start = wall("2026-05-05 03:05")
    assert parsed.count_walls(start + 30 * 60, start + 30 * 60) == 0
    assert parsed.count_walls(start, start + 1) == 1
    assert parsed.count_walls(start + 1, start + 32) == 3
    assert parsed.count_walls(start + 31, start + 7 * 60 + 30) == 5
    span = start - 1, start + 9 * 86400 - 1
    assert parsed.count_walls(*span) == 6 * minutely.count_walls(*span)

"""What a cron expression may say, and which local minutes it names."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from jobd.core import cron
from tests.core.oracle import matcher

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
        ("0 30 2 * * *", "six fields (seconds first) are not supported by this version yet"),
        ("0 0 30 2 * * 2026", "not 7"),
        ("@boot daily", "five fields"),
        ("@fortnightly", "is not a schedule"),
        ("0 0 L * *", "not supported by this version yet"),
        ("0 0 LW * *", "not supported by this version yet"),
        ("0 0 * * FRIL", "not supported by this version yet"),
        ("0 0 * * 5L", "not supported by this version yet"),
        ("0 0 * * 1#2", "not supported by this version yet"),
        ("H H * * *", "not supported by this version yet"),
        ("H(0-5) 2 * * *", "not supported by this version yet"),
        ("H/5 2 * * *", "not supported by this version yet"),
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
        parsed, matches = cron.parse(expression), matcher(expression)
        for _ in range(5):
            start = wall("2024-02-01") + draw.randrange(40 * 86400)
            end = start + draw.randrange(9 * 86400)
            minutes = range(start // 60 + 1, end // 60 + 1)
            slow = sum(matches(EPOCH + timedelta(minutes=minute)) for minute in minutes)
            assert parsed.count_walls(start, end) == slow, (expression, start, end)

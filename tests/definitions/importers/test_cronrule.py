"""When Debian's cron fires around a moved clock: as measured on the program, and as cronsim has it where they agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from jobd.definitions.importers import crontimes
from jobd.definitions.importers.cronrule import CronRule

NEW_YORK = "America/New_York"


def read(expression: str) -> crontimes.Times:
    return crontimes.read(expression.split())


def fires(expression: str, zone: str, start: str, end: str) -> list[str]:
    rule = CronRule(read(expression), zone)
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    return [f"{at:%d %H:%M}" for at in rule.fires(first, last, first)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 2 * * *", ["08 07:00"]),
        ("0,30 2 * * *", ["08 07:00", "08 07:00"]),
        ("* 2 * * *", []),
        ("*/30 * * * *", ["08 06:00", "08 06:30", "08 07:00", "08 07:30", "08 08:00"]),
        ("0 3 * * *", ["08 07:00"]),
    ],
)
def test_in_a_gap_a_fixed_line_runs_for_every_minute_missed(expression: str, expected: list[str]) -> None:
    assert fires(expression, NEW_YORK, "2026-03-08 05:59", "2026-03-08 08:00") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 1 * * *", ["01 05:30"]),
        ("*/30 1 * * *", ["01 05:00", "01 05:30", "01 06:00", "01 06:30"]),
        ("0 2 * * *", ["01 07:00"]),
    ],
)
def test_in_a_repeated_hour_a_fixed_line_waits(expression: str, expected: list[str]) -> None:
    assert fires(expression, NEW_YORK, "2026-11-01 04:59", "2026-11-01 08:00") == expected


def test_a_day_that_is_skipped_is_a_correction_to_cron() -> None:
    assert fires("30 12 30 12 *", "Pacific/Apia", "2011-12-28 00:00", "2012-01-02 00:00") == []


@pytest.mark.parametrize("zone", ["Europe/Madrid", NEW_YORK, "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize(
    "expression",
    ["30 2 * * *", "0 */6 * * 1-5", "5-55/10 * * * *", "0 0 1,15 * 3", "0 0 */2 * 3", "15 4 29 2 *", "45 23 * 1-3 *"],
)
def test_away_from_several_misses_at_once_cronsim_agrees(expression: str, zone: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rule = CronRule(read(expression), zone)
    ours = list(islice(rule.fires(start, start + timedelta(days=1500), start), 2000))
    oracle = CronSim(expression, start.astimezone(ZoneInfo(zone)))
    theirs = [at.astimezone(UTC) for at in islice(oracle, len(ours))]
    assert ours == theirs


def test_a_line_that_can_never_match_is_known() -> None:
    assert not read("0 0 31 2 *").is_possible
    assert read("0 0 31 2 1").is_possible
    assert read("0 0 29 2 *").is_possible

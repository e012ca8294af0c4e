"""systemd's calendar expressions: read as systemd reads them, elapsing when systemd says, and said in cron fields."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from jobd.core.model import Schedule
from jobd.core.schedule import Timetable
from jobd.definitions.importers import calendarcron, calendarrule, oncalendar

ANALYZE = shutil.which("systemd-analyze")
_LINE = re.compile(r"\s*(Next elapse|Iter\. #\d+|\(in UTC\)): (?:\w+ )?(\d+-\d+-\d+ \d+:\d+:\d+)\S* (\S+)")


def expressions(text: str) -> tuple[str, ...]:
    return calendarcron.expressions(oncalendar.parse(text))


def elapses(text: str, zone: str, base: datetime, count: int) -> list[datetime]:
    calendar = oncalendar.parse(text)
    return list(islice(calendarrule.elapses(calendar, zone, base, base + timedelta(days=3000)), count))


def of_systemd(text: str, zone: str, base: datetime, count: int) -> list[datetime] | None:
    """What the program itself says; None where it refuses the expression."""
    line = [str(ANALYZE), "calendar", f"--iterations={count}", f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC", text]
    done = subprocess.run(line, env={"TZ": zone, "LC_ALL": "C"}, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    found: list[str] = []
    for row in done.stdout.splitlines():
        if (match := _LINE.match(row)) is not None:
            found[len(found) - (match[1] == "(in UTC)") :] = [match[2]]
    return [datetime.fromisoformat(at).replace(tzinfo=UTC) for at in found]


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("minutely", ("* * * * *",)),
        ("hourly", ("0 * * * *",)),
        ("daily", ("0 0 * * *",)),
        ("Weekly", ("0 0 * * 1",)),
        ("monthly", ("0 0 1 * *",)),
        ("quarterly", ("0 0 1 */3 *",)),
        ("semi-annually", ("0 0 1 1,7 *",)),
        ("yearly", ("0 0 1 1 *",)),
        ("*-*-* 00/2:00:00", ("0 */2 * * *",)),
        ("Mon..Fri *-*-* 09:00", ("0 9 * * 1-5",)),
        ("Mon..Fri,Sun 8:0", ("0 8 * * 0-5",)),
        ("*-*~1 23:30", ("30 23 L * *",)),
        ("Mon..Fri *-*~1 12:00", ("0 12 L * 1-5",)),
        ("Mon *-*~07/1", ("0 0 * * 1L",)),
        ("*-4,5~2 1:00", ("0 1 29 4 *", "0 1 30 5 *")),
        ("Mon *-*-01..07", ("0 0 1-7 * 1",)),
        ("*:0/15:30", ("30 */15 * * * *",)),
        ("10-15", ("0 0 15 10 *",)),
        ("*-*-* 6,18:00", ("0 6,18 * * *",)),
        ("2026-12-24 18:00", ("at 2026-12-24T18:00:00",)),
    ],
)
def test_a_calendar_is_said_in_cron_fields(text: str, cron: tuple[str, ...]) -> None:
    assert expressions(text) == cron


@pytest.mark.parametrize("text", ["2026..2028-01-01", "*-*~3", "*-02~1,2", "*:*:0.5", "Mon 2026-12-24"])
def test_what_cron_fields_cannot_say_is_refused_and_not_bent(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be said"):
        expressions(text)


@pytest.mark.parametrize(
    "text",
    ["", "Fri..Mon", "*:*/15", "*-13-1", "24:00", "*-*~29", "*-*~5..1", "mon tue", "@1395716396", "x", "*:0:60",
     "1:2:3:4", "*-*-0", "0:0/0", "9" * 500],
)  # fmt: skip
def test_what_systemd_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        oncalendar.parse(text)


def test_a_zone_at_the_end_is_the_expressions_own() -> None:
    assert oncalendar.parse("daily Europe/Berlin").timezone == "Europe/Berlin"
    assert oncalendar.parse("*-*-* 01:00 UTC").timezone == "UTC"
    assert oncalendar.parse("daily").timezone is None


def test_a_skipped_time_does_not_elapse_and_a_repeated_hour_once() -> None:
    spring, autumn = datetime(2026, 3, 8, 5, 59, tzinfo=UTC), datetime(2026, 11, 1, 4, 59, tzinfo=UTC)
    assert elapses("02:30", "America/New_York", spring, 1) == [datetime(2026, 3, 9, 6, 30, tzinfo=UTC)]
    hours = [f"{at:%H:%M}" for at in elapses("*:0/30", "America/New_York", autumn, 4)]
    assert hours == ["05:00", "05:30", "07:00", "07:30"]


_MOVES = {
    "America/New_York": ("2026-03-07 12:00", "2026-10-31 12:00"),
    "Europe/Berlin": ("2026-03-28 10:00", "2026-10-24 10:00"),
    "Australia/Lord_Howe": ("2026-10-03 03:00", "2026-04-04 03:00"),
    "America/Havana": ("2026-03-07 12:00", "2026-10-31 12:00"),
    "UTC": ("2028-02-27 00:00",),
}


def drawn(lot: random.Random) -> str:
    """An expression of every kind of part, mostly of hours near a change of the clock."""

    def part(low: int, high: int) -> str:
        first, last = lot.randint(low, (low + high) // 2), lot.randint((low + high) // 2 + 1, high)
        step = lot.randint(1, max(2, (high - low) // 3))
        spans = [f"{first}..{last}", f"{first},{last}", f"{first}..{last}/{step}"]
        return lot.choice(["*", "*", f"{first}", f"{first}/{step}", *spans])

    days = lot.choice(["", "", "", "Mon ", "Mon..Fri ", "Sat,Sun ", "Tue,Thu..Sat "])
    dates = lot.choice(["", "", f"*-{part(1, 12)}-{part(1, 28)} ", f"*-{part(1, 12)}~{part(1, 20)} "])
    minute, second = part(0, 59), part(0, 59)
    times = lot.choice([f"{part(0, 4)}:{minute}", f"{part(0, 23)}:{minute}:{second}", f"{part(0, 3)}:0/30"])
    return days + dates + times


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not there")
@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_systemd_itself_elapses_at_the_same_instants(seed: int) -> None:
    lot = random.Random(seed)
    for _ in range(60):
        zone, text = lot.choice(list(_MOVES)), drawn(lot)
        base = datetime.fromisoformat(lot.choice(_MOVES[zone])).replace(tzinfo=UTC)
        theirs = of_systemd(text, zone, base, 8)
        if theirs is not None:
            assert elapses(text, zone, base, len(theirs)) == theirs, (text, zone, base)


@pytest.mark.parametrize("seed", range(2))
def test_the_cron_fields_fire_at_the_same_instants(seed: int) -> None:
    lot = random.Random(seed)
    for _ in range(60):
        zone, text = lot.choice(list(_MOVES)), drawn(lot)
        base = datetime.fromisoformat(lot.choice(_MOVES[zone])).replace(tzinfo=UTC)
        try:
            schedule = Schedule(expressions(text), zone, dst_gap="skip", dst_overlap="first", day_match="and")
            timetable = Timetable(schedule, zone)
        except ValueError:
            continue  # not sayable, or not yet: the importer names it
        until = base + timedelta(days=3000)
        assert timetable.between(base, until, 30, base) == elapses(text, zone, base, 30), (text, zone)

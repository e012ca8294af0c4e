"""Days on which jobs rest."""

from __future__ import annotations

from datetime import date

import pytest

from jobd.core import calendars
from jobd.core.model import Calendar


def test_days_are_one_or_a_range_with_both_ends() -> None:
    assert calendars.days("2026-12-25") == ("2026-12-25", "2026-12-25")
    assert calendars.days("2026-12-24/2027-01-06") == ("2026-12-24", "2027-01-06")
    assert calendars.days("2028-02-29 / 2028-02-29") == ("2028-02-29", "2028-02-29")


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2026-02-29", "20261225", "2026-W52-5", "25.12.2026", "2026-12-25/", "/2026-12-25"],
)
def test_what_is_no_day_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match="is not a day \\(write 2026-12-25, or"):
        calendars.days(text)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        calendars.days("2027-01-06/2026-12-24")


def test_the_first_calendar_that_holds_a_day_is_named() -> None:
    both = (Calendar("a", (("2026-12-25", "2026-12-25"),)), Calendar("b", (("2026-12-01", "2026-12-31"),)))
    assert calendars.holding(both, date(2026, 12, 25)) == "a"
    assert calendars.holding(both, date(2026, 12, 26)) == "b"
    assert calendars.holding(both, date(2026, 11, 30)) is None
    assert calendars.holding((), date(2026, 12, 25)) is None

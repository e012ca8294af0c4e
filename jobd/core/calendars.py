"""Calendars of days on which jobs rest: how their days are written, and which calendar holds a day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from jobd.core.model import Calendar, Days

_HINT = "write 2026-12-25, or 2026-12-24/2027-01-06 for several days"


def days(text: str) -> Days:
    """The days in `2026-12-25` or `2026-12-24/2027-01-06`, the last one included.

    Raises ValueError with a hint for anything else.
    """
    first, slash, last = text.partition("/")
    found = _day(first, text), _day(last if slash else first, text)
    if found[0] > found[1]:
        raise ValueError(f'"{text}" ends before it begins ({_HINT})')
    return found


def _day(part: str, text: str) -> str:
    part = part.strip()
    try:
        if date.fromisoformat(part).isoformat() == part:
            return part
    except ValueError:
        pass  # said below, with what may also be a day to Python, such as a week
    raise ValueError(f'"{text}" is not a day ({_HINT})')


def holding(calendars: Iterable[Calendar], day: date) -> str | None:
    """The name of the first calendar that holds a day."""
    text = day.isoformat()
    return next((one.name for one in calendars if any(first <= text <= last for first, last in one.days)), None)

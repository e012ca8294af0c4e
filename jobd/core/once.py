"""`at 2026-12-24T18:00`: a local time that comes once, or an instant where the text carries an offset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobd.core.spans import EPOCH

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d)?(?P<offset>[Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_HINT = "try at 2026-12-24T18:00, which is in the job's zone, or at 2026-12-24T18:00+01:00"


@dataclass(frozen=True, slots=True)
class Once:
    """A time that comes once, in the job's zone or, where it `has_offset`, in UTC."""

    text: str
    wall: int
    """Seconds since 1970-01-01 00:00 of that zone."""
    has_offset: bool
    is_wildcard = False

    def first_wall(self, wall: int) -> int | None:
        """The time itself where it is not before `wall`, else None."""
        return self.wall if wall <= self.wall else None

    def count_walls(self, after: int, until: int) -> int:
        """1 where it comes after `after` and not after `until`, else 0."""
        return int(after < self.wall <= until)


def parse(text: str) -> Once:
    """The time that a text such as `2026-12-24T18:00` names, to the second.

    One in the past is no error. Raises ValueError for everything else, and outside the years 2000 to 2199.
    """
    match = _TIME.fullmatch(text)
    try:
        at = datetime.fromisoformat(text.upper()) if match else None
    except ValueError as error:
        raise ValueError(f'"{text}" is not on the calendar ({error})') from error
    if match is None or at is None:
        raise ValueError(f'"{text}" is not a date and time ({_HINT})')
    # An offset near the ends of the calendar would leave it, so the years are looked at first.
    if not _EARLIEST <= at.replace(tzinfo=UTC) < _LATEST:
        raise ValueError(f'"{text}" is out of range (the years 2000 to 2199)')
    wall = at.astimezone(UTC) if match["offset"] else at.replace(tzinfo=UTC)
    return Once(f"at {text}", (wall - EPOCH) // timedelta(seconds=1), bool(match["offset"]))

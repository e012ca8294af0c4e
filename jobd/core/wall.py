"""The instant a person means by a time on the wall of some zone, also where the clock there was moved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal

from jobd.core.spans import EPOCH
from jobd.core.zones import Zone

_SECOND = timedelta(seconds=1)
_NEAR_SECONDS = 36 * 3600
_TIME = re.compile(r"\d\d?:\d\d(:\d\d)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Meant:
    """An instant, and what a moved clock makes of the local time it was given as."""

    at: datetime
    clock: Literal["", "gap", "repeated"] = ""
    """`gap`: there was no such time, and `at` is the first instant after it. `repeated`: it came twice, and `at` is the
    first of the two."""
    text: str = ""
    """The local time as it was given, without a zone; empty for an instant."""


def meant(text: str, zone: Zone, now: datetime) -> Meant:
    """The instant of `2026-12-24T18:00Z`, of a local `2026-12-24T18:00` or `2026-12-24`, or the last `18:00` up to now.

    Raises ValueError with a hint for anything else.
    """
    text = text.strip()
    try:
        if _TIME.fullmatch(text):
            return _last(time.fromisoformat(text.zfill(5 if text.count(":") == 1 else 8)), zone, now)
        if _DATE.fullmatch(text):
            at = datetime.fromisoformat(text.upper())
            return Meant(at.astimezone(UTC)) if at.tzinfo else at_wall(at, zone)
    except (ValueError, OverflowError):
        pass  # a day or an hour that no calendar has: told below, as every other text that is none
    raise ValueError(f'"{text[:40]}" is no instant (try 02:30, 2026-12-24T18:00 or 2026-12-24T17:00:00Z)')


def at_wall(wall: datetime, zone: Zone) -> Meant:
    """The instant of a local time of a zone, given without one. Raises OverflowError outside the years 1900 to 9990."""
    local = (wall.replace(tzinfo=UTC) - EPOCH) // _SECOND
    shown = f"{wall:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    around = [zone.span(local + shift) for shift in (-_NEAR_SECONDS, 0, _NEAR_SECONDS)]
    offsets = {offset for span in around for offset in (span.before, span.offset, span.after)}
    seconds = sorted(local - offset for offset in offsets if zone.span(local - offset).offset == offset)
    if seconds:
        return Meant(_instant(seconds[0]), "repeated" if len(seconds) > 1 else "", shown)
    # Before a gap the offset is smaller, so that the skipped time read with it lies behind the change.
    return Meant(_instant(zone.span(local - min(offsets)).start), "gap", shown)


def _last(clock: time, zone: Zone, now: datetime) -> Meant:
    today = zone.local((now - EPOCH) // _SECOND).date()
    found = at_wall(datetime.combine(today, clock), zone)
    return found if found.at <= now else at_wall(datetime.combine(today - timedelta(days=1), clock), zone)


def _instant(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)

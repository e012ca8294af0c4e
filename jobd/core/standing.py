"""How far the slots of a job are decided, and what becomes of that when the wall clock is set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobd.core.schedule import Timetable

CORRECTION = timedelta(hours=3)
"""A wall clock that is off by more than this was wrong; up to this it was set back or jobd was away."""
_NUDGE = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the slots of a job are decided. `watermark`: no slot at or before it is decided again."""

    first_seen_at: datetime
    watermark: datetime
    last_slot: datetime | None = None
    ended_at: datetime | None = None
    """When the last run of the job ended, whatever had brought it about."""
    boot_pending: bool = False
    """The host was started since the slots of the job were last decided."""


def anchor(standing: Standing) -> datetime:
    """What `every` counts from: the last slot, or the instant the job was first seen.

    After the clock was corrected backwards both may lie in the future; then it counts from the correction.
    """
    return min(standing.last_slot or standing.first_seen_at, standing.watermark)


def re_anchored(standing: Standing, now: datetime, since: datetime, *, corrected: bool) -> Standing:
    """Where a job stands at `now`: a watermark that only a wrong clock can have set is given up.

    Slots then count from `since`: when the last look at the clock was, as the clock is now.
    """
    ahead = standing.watermark - now
    if ahead > CORRECTION or (corrected and ahead > timedelta(0)):
        return replace(standing, watermark=since)
    return standing


def step(before_wall: datetime, before_mono: float, wall: datetime, mono: float) -> timedelta:
    """How far the wall clock was set between two readings of both clocks; negative is back.

    Monotonic readings are seconds of a clock that goes on while the host sleeps: sleep is time that passed, no step.
    """
    return (wall - before_wall) - timedelta(seconds=mono - before_mono)


def carried(timetable: Timetable, standing: Standing, stepped: timedelta) -> Standing | None:
    """Where a job stands after the wall clock was set; None for a job that follows the clock (cron).

    What goes by real time keeps its pace: the end of the last run moves with the clock, and for an interval job all
    that is known of it. So it owes nothing for a time that never passed, and waits for none that passes twice.
    """
    if not timetable.goes_by_real_time or not stepped:
        return None
    ended_at = None if standing.ended_at is None else standing.ended_at + stepped
    if not timetable.is_interval:
        return replace(standing, ended_at=ended_at)
    # A slot is known by its instant: those that were decided in the time that comes again must not come up again.
    nudge = _NUDGE if stepped < timedelta(0) else timedelta(0)
    since = anchor(standing) + stepped + nudge
    return replace(
        standing,
        first_seen_at=standing.first_seen_at + stepped + nudge,
        watermark=max(standing.watermark + stepped, since),
        last_slot=since if standing.last_slot else None,
        ended_at=ended_at,
    )


def current(timetable: Timetable, standing: Standing, now: datetime) -> Standing:
    """Where a job stands although nobody saw the clock being set (while the host was off), or it was set to and fro."""
    ahead = standing.watermark - now
    if ahead > timedelta(0) and timetable.is_interval:
        return carried(timetable, standing, -ahead) or standing
    if standing.watermark < standing.first_seen_at <= now:
        return replace(standing, watermark=standing.first_seen_at)
    return standing

"""Slots that an event brings about and not the clock: a start of the host, and the end of the job's last run."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobd.core.schedule import Timetable
from jobd.core.standing import Standing, anchor

_MOMENT = timedelta(microseconds=1)


def boot_slot(timetable: Timetable, standing: Standing, now: datetime) -> datetime | None:
    """The slot of `@boot` for this start of the host, where it is not decided yet: it is due at once."""
    if not timetable.has_boot or not standing.boot_pending:
        return None
    # A clock that was set back while the host was down must not hold up what is to run at its start.
    return max(now, standing.watermark + _MOMENT)


def after_slot(timetable: Timetable, standing: Standing, now: datetime, *, is_active: bool) -> datetime | None:
    """The one slot that `after` has coming, past or future; None while a run of the job waits or runs.

    It counts from the end of the last run, or from a later slot that started nothing, or from when the job was first
    seen. One that was decided late and started nothing counts from then: what did not run owes no series.
    """
    if timetable.after is None or is_active:
        return None
    since, ended_at = anchor(standing), standing.ended_at
    if ended_at is not None:
        # An end that lies ahead was noted before the clock was set back unseen.
        since = max(since, ended_at if ended_at <= now else min(ended_at, standing.watermark))
    slot = since + timetable.after
    return slot if slot > standing.watermark else standing.watermark + timetable.after


def due_by(timetable: Timetable, standing: Standing, now: datetime, *, is_active: bool) -> list[datetime]:
    """The slots of events after the watermark that are to be decided now, in order."""
    after = after_slot(timetable, standing, now, is_active=is_active)
    found = {boot_slot(timetable, standing, now), after if after is not None and after <= now else None}
    return sorted(slot for slot in found if slot is not None)

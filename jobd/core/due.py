"""What becomes of every slot that is due: catch-up, overlap and the watermark, decided over plain values.

A plan is bounded in rows and in time, however long jobd was away: the newest `KEPT` slots (with `catch_up: all`, and
`max_catch_up` more) get a row each, all older ones share one row, whose reason says how many they are.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobd.core.agenda import Agenda
from jobd.core.model import Schedule
from jobd.core.overlap import Active, Go, Skip, meet
from jobd.core.schedule import Timetable
from jobd.core.spans import rfc3339, show_seconds
from jobd.core.states import Disposition, Trigger

__all__ = ["Active", "Agenda", "Plan", "SlotDecision", "Standing", "anchor", "carried", "open_to_all", "plan", "step"]

GRACE = timedelta(seconds=60)
"""A slot less late than this is on time, whatever the policy."""
CORRECTION = timedelta(hours=3)
"""A wall clock that is off by more than this was wrong; up to this it was set back or jobd was away."""
KEPT = 60
"""Slots of one plan with a row of their own: an hour of a minutely job, or what is on time of a secondly one."""

_NUDGE = timedelta(milliseconds=1)

Bar = Callable[[datetime], str | None]
"""Why a slot starts nothing whenever it is decided (a machine word, then mostly `: ` and a sentence); None: it may."""


def open_to_all(_slot: datetime) -> None:
    """The bar that keeps no slot back."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the slots of a job are decided. `watermark`: no slot at or before it is decided again."""

    first_seen_at: datetime
    watermark: datetime
    last_slot: datetime | None = None


@dataclass(frozen=True, slots=True)
class SlotDecision:
    """What becomes of one slot. Decisions of a plan come in the order of their slots."""

    slot: datetime
    disposition: Disposition
    trigger: Trigger = Trigger.SCHEDULE
    replaces: tuple[int, ...] = ()
    """Runs to cancel in favour of this slot's run: no failure of theirs, and no retry."""
    reason: str = ""
    """A machine word, then mostly `: ` and a sentence; empty for a slot that started on time."""
    blocked_by: int | None = None

    @property
    def starts(self) -> bool:
        """Whether the slot gets a run."""
        return self.disposition is Disposition.STARTED


@dataclass(frozen=True, slots=True)
class Plan:
    slots: tuple[SlotDecision, ...]
    watermark: datetime
    last_slot: datetime | None
    next_at: datetime | None
    """The next instant the job is due; None if never again."""


def anchor(standing: Standing) -> datetime:
    """What `every` counts from: the last slot, or the instant the job was first seen.

    After the clock was corrected backwards both may lie in the future; then it counts from the correction.
    """
    return min(standing.last_slot or standing.first_seen_at, standing.watermark)


def plan(
    timetable: Timetable,
    schedule: Schedule,
    standing: Standing,
    now: datetime,
    active: Active,
    *,
    bar: Bar = open_to_all,
    corrected: bool = False,
    decided: Container[datetime] = (),
    since: datetime | None = None,
) -> Plan:
    """Decide every slot after the watermark up to `now`, but those that were `decided` before the clock was corrected.

    A slot that `bar` keeps back (a pause, a calendar) is skipped and owes nothing: catch-up and overlap never see it.
    `corrected` says that the wall clock was just stepped by more than `CORRECTION`: the job then owes one run at most.
    `since` is when the last look at the clock was, as the clock is now: slots after a correction back count from there.
    """
    ahead = standing.watermark - now
    if ahead > CORRECTION or (corrected and ahead > timedelta(0)):
        standing = replace(standing, watermark=since or now)
    origin = anchor(standing)
    kept = KEPT + (schedule.max_catch_up if schedule.catch_up == "all" else 0)
    slots = timetable.newest(standing.watermark, now, kept + 1, origin)
    if not slots:
        next_at = timetable.next_after(max(now, standing.watermark), origin)
        return Plan((), standing.watermark, standing.last_slot, next_at)
    open_slots = [slot for slot in slots[-kept:] if slot not in decided]
    decisions = _decide(open_slots, schedule, now, active, bar, corrected)
    if len(slots) > kept and decisions:
        count = timetable.about(standing.watermark, slots[0], origin)
        decisions.insert(0, _summed_up(slots[0], count, standing.watermark, decisions[0], schedule))
    return Plan(tuple(decisions), now, slots[-1], timetable.next_after(now, slots[-1]))


def step(before_wall: datetime, before_mono: float, wall: datetime, mono: float) -> timedelta:
    """How far the wall clock was set between two readings of both clocks; negative is back.

    Monotonic readings are seconds of a clock that goes on while the host sleeps: sleep is time that passed, no step.
    """
    return (wall - before_wall) - timedelta(seconds=mono - before_mono)


def carried(timetable: Timetable, standing: Standing, stepped: timedelta) -> Standing | None:
    """Where an `every` job stands after the wall clock was set; None for a job that follows the clock (cron).

    Such a job keeps its pace in real time, so all that is known of it moves with the clock: it owes nothing for a time
    that never passed, and waits for none that passes twice.
    """
    if not timetable.is_interval or not stepped:
        return None
    # A slot is known by its instant: those that were decided in the time that comes again must not come up again.
    nudge = _NUDGE if stepped < timedelta(0) else timedelta(0)
    since = anchor(standing) + stepped + nudge
    last_slot = since if standing.last_slot else None
    return Standing(standing.first_seen_at + stepped + nudge, max(standing.watermark + stepped, since), last_slot)


def _decide(
    slots: list[datetime], schedule: Schedule, now: datetime, active: Active, bar: Bar, corrected: bool
) -> list[SlotDecision]:
    barred = {slot: reason for slot in slots if (reason := bar(slot)) is not None}
    decisions = _decide_open([slot for slot in slots if slot not in barred], schedule, now, active, corrected)
    decisions += [SlotDecision(slot, Disposition.SKIPPED, reason=reason) for slot, reason in barred.items()]
    return sorted(decisions, key=lambda decision: decision.slot)


def _decide_open(
    slots: list[datetime], schedule: Schedule, now: datetime, active: Active, corrected: bool
) -> list[SlotDecision]:
    late = [slot for slot in slots if now - slot >= GRACE]
    prompt = slots[len(late) :]
    owed = _owed(late, bool(prompt), schedule, now, corrected)
    decisions = _not_owed(late[: len(late) - len(owed)], bool(owed or prompt), schedule, now)
    for slot in (*owed, *prompt):
        trigger = Trigger.SCHEDULE if now - slot < GRACE else Trigger.CATCH_UP
        _start(slot, trigger, schedule, active, decisions)
    return decisions


def _owed(late: list[datetime], prompt: bool, schedule: Schedule, now: datetime, corrected: bool) -> list[datetime]:
    """The late slots that are caught up, which are always the newest.

    Where a slot on time is there, `latest` owes nothing: that one is the latest.
    """
    if schedule.catch_up == "skip" or not late:
        return []
    if schedule.catch_up == "all":
        if corrected:
            return [] if prompt else late[-1:]
        return late[-schedule.max_catch_up :] if schedule.max_catch_up else []
    is_near = now - late[-1] <= timedelta(seconds=schedule.catch_up_window_seconds)
    return late[-1:] if is_near and not prompt else []


def _not_owed(late: list[datetime], has_newer: bool, schedule: Schedule, now: datetime) -> list[SlotDecision]:
    disposition = Disposition.COALESCED if schedule.catch_up == "latest" and has_newer else Disposition.MISSED
    return [
        SlotDecision(slot, disposition, reason=f"{_why_late(disposition, schedule)}: {_lateness(slot, now)}")
        for slot in late
    ]


def _why_late(disposition: Disposition, schedule: Schedule) -> str:
    if disposition is Disposition.COALESCED:
        return "newer_slot"
    match schedule.catch_up:
        case "skip":
            return "catch_up_skip"
        case "latest":
            return "catch_up_window"
        case "all":
            return "max_catch_up"


def _lateness(slot: datetime, now: datetime) -> str:
    return f"jobd came to it {show_seconds((now - slot).total_seconds())} late"


def _start(slot: datetime, trigger: Trigger, schedule: Schedule, active: Active, decisions: list[SlotDecision]) -> None:
    """Decide a slot that is to start, among active runs and the earlier slots of the plan."""
    planned = [index for index, earlier in enumerate(decisions) if earlier.starts]
    match meet(schedule.overlap, active, len(planned)):
        case Skip(blocked_by=run):
            behind = f"run {run} is not over" if run is not None else "an earlier slot starts now"
            reason = f"overlap: {behind}"
            decisions.append(SlotDecision(slot, Disposition.SKIPPED, trigger, reason=reason, blocked_by=run))
        case Go(replaces=replaces, supersedes=supersedes):
            if supersedes:
                for index in planned:
                    decisions[index] = _superseded(decisions[index], slot)
            reason = "catch_up" if trigger is Trigger.CATCH_UP else ""
            decisions.append(SlotDecision(slot, Disposition.STARTED, trigger, replaces, reason))


def _superseded(decision: SlotDecision, by: datetime) -> SlotDecision:
    reason = f"newer_slot: that of {rfc3339(by)} runs instead"
    return SlotDecision(decision.slot, Disposition.COALESCED, decision.trigger, reason=reason)


def _summed_up(slot: datetime, count: int, since: datetime, oldest: SlotDecision, schedule: Schedule) -> SlotDecision:
    """One row for all slots before the `oldest` that has one of its own: it stands at the newest of them."""
    has_newer = schedule.catch_up == "latest" and oldest.disposition is not Disposition.MISSED
    disposition = Disposition.COALESCED if has_newer else Disposition.MISSED
    reason = f"{_why_late(disposition, schedule)}: about {count} slots since {rfc3339(since)} share this row"
    return SlotDecision(slot, disposition, reason=reason)

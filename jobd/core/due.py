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
from jobd.core.occasions import after_slot, due_by
from jobd.core.overlap import Active, Go, Skip, meet
from jobd.core.schedule import Timetable
from jobd.core.spans import rfc3339, show_seconds
from jobd.core.standing import CORRECTION, Standing, anchor, carried, current, re_anchored, step
from jobd.core.states import Disposition, Trigger

__all__ = [
    "CORRECTION",
    "Active",
    "Agenda",
    "Plan",
    "SlotDecision",
    "Standing",
    "anchor",
    "carried",
    "current",
    "next_at",
    "open_to_all",
    "plan",
    "step",
]

GRACE = timedelta(seconds=60)
"""A slot less late than this is on time, whatever the policy."""
KEPT = 60
"""Slots of one plan with a row of their own: an hour of a minutely job, or what is on time of a secondly one."""

Bar = Callable[[datetime], str | None]
"""Why a slot starts nothing whenever it is decided (a machine word, then mostly `: ` and a sentence); None: it may."""


def open_to_all(_slot: datetime) -> None:
    """The bar that keeps no slot back."""


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


def next_at(timetable: Timetable, standing: Standing, now: datetime, *, is_active: bool = False) -> datetime | None:
    """The first undecided slot of a job, even where that has passed; None if there is none in sight.

    `@boot` has none: that slot stands when it is decided. `is_active`: a run of the job waits or runs.
    """
    after = after_slot(timetable, standing, now, is_active=is_active)
    clock = timetable.next_after(standing.watermark, anchor(standing))
    return min((at for at in (clock, after) if at is not None), default=None)


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

    A slot that `bar` (a pause) or a calendar keeps back is skipped and owes nothing: catch-up and overlap never see it.
    `corrected` says that the wall clock was just stepped by more than `CORRECTION`: the job then owes one run at most.
    `since` is when the last look at the clock was, as the clock is now: slots after a correction back count from there.
    """
    standing = re_anchored(standing, now, since or now, corrected=corrected)
    origin = anchor(standing)
    kept = KEPT + (schedule.max_catch_up if schedule.catch_up == "all" else 0)
    clock = timetable.newest(standing.watermark, now, kept + 1, origin)
    occasions = due_by(timetable, standing, now, is_active=active.oldest is not None)
    slots = sorted({*clock[-kept:], *occasions} - set(clock[:-kept]))
    open_slots = [slot for slot in slots if slot not in decided]
    decisions = _decide(open_slots, schedule, now, active, _either(bar, timetable.bar), corrected)
    # Where the oldest row is there already the clock has been here before, and all older ones with it.
    if len(clock) > kept and clock[0] not in decided and (newer := [one for one in decisions if one.slot > clock[0]]):
        count = timetable.about(standing.watermark, clock[0], origin)
        decisions.append(_summed_up(clock[0], count, standing.watermark, now, newer[0], schedule))
        decisions.sort(key=lambda decision: decision.slot)
    if slots:
        standing = replace(standing, watermark=max(now, slots[-1]), last_slot=slots[-1])
    is_active = active.oldest is not None or any(decision.starts for decision in decisions)
    upcoming = next_at(timetable, standing, now, is_active=is_active)
    return Plan(tuple(decisions), standing.watermark, standing.last_slot, upcoming)


def _either(bar: Bar, other: Bar) -> Bar:
    return lambda slot: bar(slot) or other(slot)


def _decide(
    slots: list[datetime], schedule: Schedule, now: datetime, active: Active, bar: Bar, corrected: bool
) -> list[SlotDecision]:
    barred = {slot: reason for slot in slots if (reason := bar(slot)) is not None}
    expired = [slot for slot in slots if slot not in barred and _is_expired(slot, schedule, now)]
    rest = [slot for slot in slots if slot not in barred and slot not in expired]
    decisions = _decide_open(rest, schedule, now, active, corrected)
    decisions += [SlotDecision(slot, Disposition.SKIPPED, reason=reason) for slot, reason in barred.items()]
    decisions += [SlotDecision(slot, Disposition.EXPIRED, reason=_too_late(slot, now)) for slot in expired]
    return sorted(decisions, key=lambda decision: decision.slot)


def _is_expired(slot: datetime, schedule: Schedule, now: datetime) -> bool:
    deadline = schedule.start_deadline_seconds
    return deadline is not None and (now - slot).total_seconds() >= deadline


def _too_late(slot: datetime, now: datetime) -> str:
    return f"start_deadline: {_lateness(slot, now)}"


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


def _summed_up(
    slot: datetime, count: int, since: datetime, now: datetime, oldest: SlotDecision, schedule: Schedule
) -> SlotDecision:
    """One row for all slots before the `oldest` that has one of its own: it stands at the newest of them."""
    has_newer = schedule.catch_up == "latest" and oldest.disposition is not Disposition.MISSED
    disposition = Disposition.COALESCED if has_newer else Disposition.MISSED
    why = _why_late(disposition, schedule)
    if _is_expired(slot, schedule, now):
        disposition, why = Disposition.EXPIRED, "start_deadline"
    reason = f"{why}: about {count} slots since {rfc3339(since)} share this row"
    return SlotDecision(slot, disposition, reason=reason)

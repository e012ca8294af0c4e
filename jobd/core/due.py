"""Decides what becomes of due slots (SEMANTICS: Slots, Catch-up, Overlap), and keeps which job is due next."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobd.core.model import Schedule
from jobd.core.schedule import Timetable
from jobd.core.states import Disposition, Trigger

GRACE = timedelta(seconds=60)
"""A slot no later than this counts as on time, whatever the catch-up policy: a restart at the slot does not lose it."""
CORRECTION = timedelta(hours=3)
"""A clock step beyond this is a correction of the clock and no passing of time."""
MOST_ROWS = 100
"""Slots given up for are written one by one up to this many, newest first; the oldest row names the number before it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Up to where the slots of a job are decided."""

    first_seen_at: datetime
    watermark: datetime
    last_slot: datetime | None = None

    @property
    def anchor(self) -> datetime:
        """What `every` counts from."""
        return self.last_slot or self.first_seen_at


@dataclass(frozen=True, slots=True)
class Active:
    """The runs of a job that wait and that run (ids, oldest first), and its limit."""

    waiting: tuple[int, ...] = ()
    running: tuple[int, ...] = ()
    max_running: int | None = None


@dataclass(frozen=True, slots=True)
class SlotDecision:
    slot: datetime
    disposition: Disposition
    starts: bool = False
    trigger: Trigger = Trigger.SCHEDULE
    replaces: tuple[int, ...] = ()
    """Runs that are cancelled in favour of this one."""
    reason: str = ""
    blocked_by: int | None = None
    """The run that was in the way."""


@dataclass(frozen=True, slots=True)
class Plan:
    slots: tuple[SlotDecision, ...]
    watermark: datetime
    next_at: datetime | None


def plan(
    timetable: Timetable,
    schedule: Schedule,
    standing: Standing,
    now: datetime,
    active: Active,
    *,
    corrected: bool = False,
) -> Plan:
    """Decide every slot after the watermark up to `now`.

    A watermark hours ahead of `now` is a clock set back: nothing is owed and counting begins anew. `corrected` is a
    clock set forward by hours while jobd ran: one catch-up at the most, whatever the policy. Cost and number of rows are
    bounded however long jobd was away.
    """
    if standing.watermark - now > CORRECTION:
        return Plan((), now, timetable.next_after(now, now))
    if standing.watermark >= now:
        return Plan((), standing.watermark, timetable.next_after(standing.watermark, standing.anchor))
    kept = max(MOST_ROWS, schedule.max_catch_up) + 1
    slots = timetable.newest(standing.watermark, now, kept, standing.anchor)
    on_time = [slot for slot in slots if now - slot < GRACE]
    late = slots[: len(slots) - len(on_time)]
    decisions = _late(late, schedule, now, newer=bool(on_time), once=corrected)
    decisions += [SlotDecision(slot, Disposition.STARTED, starts=True) for slot in on_time]
    if len(slots) == kept:
        decisions[0] = replace(decisions[0], reason=f"{decisions[0].reason} (this and all before it)".strip())
    last = slots[-1] if slots else None
    watermark = now if last is None else max(now, last)
    next_at = timetable.next_after(watermark, last or standing.anchor)
    return Plan(tuple(_overlap(decisions, schedule, active)), watermark, next_at)


def _late(
    slots: Sequence[datetime], schedule: Schedule, now: datetime, *, newer: bool, once: bool
) -> list[SlotDecision]:
    """What becomes of slots that were missed, oldest first. `newer`: a later slot is on time and starts anyway."""
    inside = [slot for slot in slots if now - slot <= timedelta(seconds=schedule.catch_up_window_seconds)]
    outside = slots[: len(slots) - len(inside)]
    decided = [SlotDecision(slot, Disposition.MISSED, reason="outside the catch-up window") for slot in outside]
    match "latest" if once and schedule.catch_up == "all" else schedule.catch_up:
        case "skip":
            decided = [SlotDecision(slot, Disposition.MISSED, reason="jobd was not running") for slot in slots]
        case "latest":
            decided += _latest(inside, newer=newer)
        case "all":
            given_up = inside[: max(0, len(inside) - schedule.max_catch_up)]
            decided += [SlotDecision(slot, Disposition.MISSED, reason="over max_catch_up") for slot in given_up]
            decided += [_catch_up(slot) for slot in inside[len(given_up) :]]
    return decided


def _latest(slots: Sequence[datetime], *, newer: bool) -> list[SlotDecision]:
    """One run for the newest missed slot; none where a slot that is on time stands for it."""
    older = slots if newer else slots[:-1]
    decided = [SlotDecision(slot, Disposition.COALESCED, reason="a newer slot runs for it") for slot in older]
    return decided if newer or not slots else [*decided, _catch_up(slots[-1])]


def _catch_up(slot: datetime) -> SlotDecision:
    return SlotDecision(slot, Disposition.STARTED, starts=True, trigger=Trigger.CATCH_UP)


_NEW_RUN = -1
"""Stands for a run that an earlier slot of the same plan starts."""


def _overlap(decisions: Sequence[SlotDecision], schedule: Schedule, active: Active) -> list[SlotDecision]:
    """Hold every slot that would start against the runs that are there by then."""
    waiting, running = list(active.waiting), list(active.running)
    decided = []
    for decision in decisions:
        settled = _against(decision, schedule, waiting, running, active.max_running) if decision.starts else decision
        if settled.starts:
            waiting = [run for run in waiting if run not in settled.replaces] + [_NEW_RUN]
        decided.append(settled)
    return _without_superseded(decided)


def _against(
    decision: SlotDecision, schedule: Schedule, waiting: list[int], running: list[int], max_running: int | None
) -> SlotDecision:
    there = [*running, *waiting]
    match schedule.overlap:
        case "skip" if there:
            return _skipped(decision, there[0])
        case "allow" if max_running is not None and len(there) >= max_running + MOST_ROWS:
            return _skipped(decision, there[0])
        case "queue" if len(waiting) >= (max_running or 1) and (running or len(waiting) > 0):
            return replace(decision, replaces=tuple(waiting[: len(waiting) - (max_running or 1) + 1]))
        case "replace" if there:
            return replace(decision, replaces=tuple(there))
    return decision


def _skipped(decision: SlotDecision, run: int) -> SlotDecision:
    by = None if run == _NEW_RUN else run
    return replace(decision, disposition=Disposition.SKIPPED, starts=False, reason="overlap", blocked_by=by)


def _without_superseded(decisions: list[SlotDecision]) -> list[SlotDecision]:
    """A run that a later slot of the same plan would replace is not started at all."""
    superseded = sum(decision.replaces.count(_NEW_RUN) for decision in decisions)
    found = []
    for decision in decisions:
        if decision.starts and superseded > 0:
            superseded -= 1
            found.append(
                replace(
                    decision, disposition=Disposition.COALESCED, starts=False, reason="a newer slot runs for it"
                )
            )
        else:
            found.append(decision)
    carried = {run for decision in decisions for run in decision.replaces if run != _NEW_RUN}
    return _carry(found, carried)


def _carry(decisions: list[SlotDecision], replaced: set[int]) -> list[SlotDecision]:
    """Let the first slot that does start cancel what the slots before it would have replaced."""
    found, left = [], tuple(sorted(replaced))
    for decision in decisions:
        if decision.starts:
            found.append(replace(decision, replaces=left))
            left = ()
        else:
            found.append(replace(decision, replaces=()))
    return found


def step(wall_before: datetime, mono_before: float, wall: datetime, mono: float) -> timedelta:
    """How far the wall clock was set between two readings of both clocks (monotonic ones in seconds)."""
    return (wall - wall_before) - timedelta(seconds=mono - mono_before)


@dataclass(slots=True)
class Agenda:
    """When each job is due next: a heap with lazy deletion, every change O(log n)."""

    _heap: list[tuple[datetime, str]] = field(default_factory=list)
    _next: dict[str, datetime] = field(default_factory=dict)

    def set(self, name: str, at: datetime | None) -> None:
        """The job is due next at `at`; None takes it off."""
        if at is None:
            self._next.pop(name, None)
        elif self._next.get(name) != at:
            self._next[name] = at
            heapq.heappush(self._heap, (at, name))
        if len(self._heap) > 2 * len(self._next) + 64:
            self._heap = [(at, name) for name, at in self._next.items()]
            heapq.heapify(self._heap)

    def names(self) -> list[str]:
        """Every job that is due at some time."""
        return list(self._next)

    def at(self, name: str) -> datetime | None:
        """When a job is due next."""
        return self._next.get(name)

    def next_at(self) -> datetime | None:
        """When the first of all is due."""
        self._clear()
        return self._heap[0][0] if self._heap else None

    def due(self, now: datetime) -> list[str]:
        """The jobs that are due, the longest first. They stay until they are set anew."""
        found: list[tuple[datetime, str]] = []
        self._clear()
        while self._heap and self._heap[0][0] <= now:
            found.append(heapq.heappop(self._heap))
            self._clear()
        for entry in found:
            heapq.heappush(self._heap, entry)
        return [name for _, name in dict.fromkeys(found)]

    def _clear(self) -> None:
        while self._heap and self._next.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)

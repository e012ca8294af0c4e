"""What became of the slot that a person asks about, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from jobd.core.model import Job
from jobd.core.reasons import in_words, run_in, word_of
from jobd.core.records import RunRecord, SlotRecord
from jobd.core.spans import rfc3339, show_seconds
from jobd.core.states import Disposition
from jobd.core.wall import Meant
from jobd.observe.why.findings import Blocker, Check, Finding, Host, clock, first, span
from jobd.observe.why.jobs import Hold, held
from jobd.observe.why.runs import ended

_ON_TIME_SECONDS = 1.0
_SHARED = "share this row"


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """An instant that is asked about, the slot that is nearest to it, and what is around."""

    host: Host
    job: Job
    place: str
    asked: Meant
    first_seen_at: datetime
    watermark: datetime
    due: datetime | None = None
    """The slot that its schedule has at the instant or within the minute after it."""
    row: SlotRecord | None = None
    """What the history has of the slot."""
    run: RunRecord | None = None
    """The run of that row, or the one that its reason names."""
    run_waits: Finding | None = None
    """Why that run has not started, where it has not."""
    earlier: SlotRecord | None = None
    later: SlotRecord | None = None
    """The slots with a row before and after the instant."""
    previous_due: datetime | None = None
    next_due: datetime | None = None
    """The slots of its schedule before and after the instant."""
    bar: str | None = None
    """Why the slot is going to be kept back, by the calendars."""
    remark: str = ""
    """What a moved clock or jitter has to do with the slot."""
    holds: tuple[Hold, ...] = field(default=())

    def clock(self, at: datetime) -> str:
        return clock(at, self.host.zone)


def why(facts: SlotFacts) -> Finding:
    """What became of a slot, or is going to; where there is none at that instant, why not and which are around."""
    return first(CHECKS, facts) or _not_due(facts)


def subject(facts: SlotFacts) -> str:
    """The job and the slot that is told of, or the instant that was asked for."""
    at = facts.row.slot if facts.row else facts.due or facts.asked.at
    return f"{facts.job.name} at {rfc3339(at)}"


# Slots that the history knows.


def _started(facts: SlotFacts) -> Finding | None:
    row = facts.row
    if row is None or row.disposition is not Disposition.STARTED:
        return None
    how = f" ({in_words(row.reason)})" if row.reason else ""
    if row.run is None or facts.run is None:
        return Finding(
            "started", f"{_it_was_due(facts)} and started a run{how} that the history does not hold any more"
        )
    run, detail = facts.run, f"{_it_was_due(facts)} and started run {row.run}{how}, which {_stands(facts)}"
    waits = facts.run_waits
    blockers = (Blocker("run", run.id, str(run.state)), *(waits.blockers if waits else ()))
    return Finding("started", detail, blockers, waits.until if waits else None)


def _stands(facts: SlotFacts) -> str:
    run, row = facts.run, facts.row
    assert run is not None and row is not None
    late = (run.started_at - row.slot).total_seconds() if run.started_at else 0.0
    began = f"began {show_seconds(late)} after it and " if late >= _ON_TIME_SECONDS else ""
    if run.state.is_final:
        return began + ended(run)
    return f"{began}is {run.state}" + (f": {facts.run_waits.detail}" if facts.run_waits else "")


def _not_started(facts: SlotFacts) -> Finding | None:
    row = facts.row
    if row is None or row.disposition is Disposition.STARTED:
        return None
    why = f": {in_words(row.reason)}" if row.reason else ""
    stands_in = _stands_in(facts) if row.disposition is Disposition.COALESCED else ""
    detail = f"it would have fired at {facts.clock(row.slot)}, but was {row.disposition}{why}{stands_in}"
    reason = word_of(row.reason) if row.disposition is Disposition.SKIPPED else ""
    return Finding(reason or row.disposition, detail + _other_run(facts), _blockers(facts))


def _stands_in(facts: SlotFacts) -> str:
    later = facts.later
    if later is None or later.disposition is not Disposition.STARTED:
        return ""
    return f"; the slot of {facts.clock(later.slot)} stands for it, with run {later.run}"


def _other_run(facts: SlotFacts) -> str:
    run, row = facts.run, facts.row
    if run is None or row is None or run_in(row.reason) != run.id:
        return ""
    now = ended(run) if run.state.is_final else f"is {run.state}"
    return f"; run {run.id} {now}"


def _blockers(facts: SlotFacts) -> tuple[Blocker, ...]:
    row, later = facts.row, facts.later
    assert row is not None
    if (run := run_in(row.reason)) is not None:
        return (Blocker("run", run, in_words(row.reason)),)
    if row.disposition is Disposition.COALESCED and later is not None:
        return (Blocker("slot", rfc3339(later.slot), f"{later.disposition} in its place"),)
    return (Blocker("slot", rfc3339(row.slot), in_words(row.reason) or str(row.disposition)),)


# Instants that the history does not know.


def _on_request(facts: SlotFacts) -> Finding | None:
    if facts.job.schedule.expressions:
        return None
    return Finding("no_schedule", f"it has no schedule (jobd-ctl run {facts.job.name} submits a run of it)")


def _in_gap(facts: SlotFacts) -> Finding | None:
    asked = facts.asked
    if asked.clock != "gap" or facts.due == asked.at:
        return None
    detail = f"{asked.text} never was: the clock jumped over it, to {facts.clock(asked.at)}"
    return Finding("dst_gap", f"{detail}; {_around(facts)}", _neighbours(facts))


def _before_first_seen(facts: SlotFacts) -> Finding | None:
    if facts.asked.at >= facts.first_seen_at or facts.asked.at > facts.host.now:
        return None
    since = facts.clock(facts.first_seen_at)
    if facts.earlier is not None:
        detail = f"its schedule of then was another: the one in force has counted since {since}"
        return Finding("schedule_changed", f"{detail}; {_around(facts)}", _neighbours(facts))
    detail = f"jobd did not know it then (a job owes nothing from before {since}, when it was first seen or enabled)"
    return Finding("before_first_seen", detail)


def _ahead(facts: SlotFacts) -> Finding | None:
    due = facts.due
    if due is None or due <= facts.host.now:
        return None
    keeps = first(_KEEPS, facts)
    if keeps is not None:
        detail = f"it is due at {facts.clock(due)}, but as things are it will not start: {keeps.detail}"
        return Finding(keeps.reason, detail, keeps.blockers, keeps.until)
    remark = f" ({facts.remark})" if facts.remark else ""
    return Finding("due", f"it will fire at {facts.clock(due)}, in {span(facts.host.now, due)}{remark}", until=due)


def _disabled(facts: SlotFacts) -> Finding | None:
    if facts.job.enabled:
        return None
    blocker = Blocker("file", facts.place, "says enabled: false")
    return Finding("disabled", f"it is disabled (enabled: false in {facts.place})", (blocker,))


def _excluded(facts: SlotFacts) -> Finding | None:
    if facts.bar is None:
        return None
    return Finding(word_of(facts.bar) or "excluded", in_words(facts.bar))


def _held(facts: SlotFacts) -> Finding | None:
    assert facts.due is not None
    holds = [hold for hold in facts.holds if hold.until is None or facts.due < hold.until]
    return held(holds[0], facts.host) if holds else None


def _disabled_now(facts: SlotFacts) -> Finding | None:
    if facts.due is None or facts.due <= facts.watermark:
        return None
    return _disabled(facts)


def _shared_row(facts: SlotFacts) -> Finding | None:
    later = facts.later
    if facts.due is None or later is None or _SHARED not in later.reason:
        return None
    detail = f"it would have fired at {facts.clock(facts.due)}, but was {later.disposition} with others"
    blocker = Blocker("slot", rfc3339(later.slot), in_words(later.reason))
    return Finding(
        later.disposition, f"{detail}, which {facts.clock(later.slot)} stands for: {blocker.detail}", (blocker,)
    )


def _undecided(facts: SlotFacts) -> Finding | None:
    if facts.due is None or facts.due <= facts.watermark:
        return None
    if facts.host.storage_problem is not None:
        detail = f"it is due since {facts.clock(facts.due)}, but the store cannot be written"
        return Finding("storage", f"{detail}: {facts.host.storage_problem}")
    return Finding("undecided", f"it is due since {facts.clock(facts.due)}, and is being decided now")


def _unrecorded(facts: SlotFacts) -> Finding | None:
    if facts.due is None:
        return None
    detail = f"its schedule has a slot at {facts.clock(facts.due)}, but the history holds none: it is older than what "
    return Finding(
        "unrecorded", detail + "is kept, or the schedule, the clock or the job's definition was another then"
    )


def _not_due(facts: SlotFacts) -> Finding:
    twice = f" (the first of two: {facts.asked.text} came twice)" if facts.asked.clock == "repeated" else ""
    detail = f"it is not due at {facts.clock(facts.asked.at)}{twice}"
    return Finding("not_due", f"{detail}; {_around(facts)}", _neighbours(facts))


def _it_was_due(facts: SlotFacts) -> str:
    assert facts.row is not None
    moved = f"{facts.asked.text} never was, and " if facts.asked.clock == "gap" else ""
    remark = f" ({facts.remark})" if facts.remark else ""
    return f"{moved}it was due at {facts.clock(facts.row.slot)}{remark}"


def _around(facts: SlotFacts) -> str:
    """The slots before and after, from the history where it has them, else from the schedule."""
    before, after = _before(facts), _after(facts)
    if before is None and after is None:
        return "there is no slot around it"
    parts = [f"the slot before is {facts.clock(before)}" if before else "there is none before"]
    parts.append(f"the one after {facts.clock(after)}" if after else "none after")
    return ", ".join(parts)


def _neighbours(facts: SlotFacts) -> tuple[Blocker, ...]:
    around = (("the slot before", _before(facts)), ("the slot after", _after(facts)))
    return tuple(Blocker("slot", rfc3339(at), what) for what, at in around if at is not None)


def _before(facts: SlotFacts) -> datetime | None:
    row = facts.earlier.slot if facts.earlier else None
    return max((at for at in (row, facts.previous_due) if at is not None), default=None)


def _after(facts: SlotFacts) -> datetime | None:
    row = facts.later.slot if facts.later else None
    return min((at for at in (row, facts.next_due) if at is not None), default=None)


_KEEPS: tuple[Check[SlotFacts], ...] = (_disabled, _excluded, _held)
CHECKS: tuple[Check[SlotFacts], ...] = (
    _started,
    _not_started,
    _on_request,
    _in_gap,
    _ahead,
    _before_first_seen,
    _shared_row,
    _disabled_now,
    _undecided,
    _unrecorded,
)
"""Asked in this order; what the history says goes before what the schedule says."""

"""What became of a slot that the history knows: the run it started, or why it started none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobd.core.model import Job
from jobd.core.reasons import in_words, run_in, word_of
from jobd.core.records import RunRecord, SlotRecord
from jobd.core.spans import rfc3339, show_seconds
from jobd.core.states import Disposition
from jobd.core.wall import Meant
from jobd.observe.why.findings import Blocker, Finding, Host, clock
from jobd.observe.why.runs import ended

_ON_TIME_SECONDS = 1.0


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
    """Why the slot is going to be kept back, by what is known now."""
    remark: str = ""
    """What a moved clock or jitter has to do with the slot."""

    def clock(self, at: datetime) -> str:
        return clock(at, self.host.zone)


def started(facts: SlotFacts) -> Finding | None:
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


def not_started(facts: SlotFacts) -> Finding | None:
    row = facts.row
    if row is None or row.disposition is Disposition.STARTED:
        return None
    why = f": {in_words(row.reason)}" if row.reason else ""
    stands_in = _stands_in(facts) if row.disposition is Disposition.COALESCED else ""
    is_ahead = row.slot > facts.host.now
    detail = f"it {'is due' if is_ahead else 'would have fired'} at {facts.clock(row.slot)}, but "
    detail += f"{'is going to be' if is_ahead else 'was'} {row.disposition}{why}{stands_in}"
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


def _it_was_due(facts: SlotFacts) -> str:
    assert facts.row is not None
    moved = f"{facts.asked.text} never was, and " if facts.asked.clock == "gap" else ""
    remark = f" ({facts.remark})" if facts.remark else ""
    return f"{moved}it was due at {facts.clock(facts.row.slot)}{remark}"

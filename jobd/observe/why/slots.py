"""What became of the slot that a person asks about, by the history first, or why there is none."""

from __future__ import annotations

from datetime import datetime

from jobd.core.reasons import in_words, word_of
from jobd.core.spans import rfc3339
from jobd.observe.why.findings import Blocker, Check, Finding, first, span
from jobd.observe.why.recorded import SlotFacts, not_started, started

_SHARED = "share this row"


def why(facts: SlotFacts) -> Finding:
    """What became of a slot, or is going to; where there is none at that instant, why not and which are around."""
    return first(CHECKS, facts) or _not_due(facts)


def subject(facts: SlotFacts) -> str:
    """The job and the slot that is told of, or the instant that was asked for."""
    at = facts.row.slot if facts.row else facts.due or facts.asked.at
    return f"{facts.job.name} at {rfc3339(at)}"


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


def _kept_back(facts: SlotFacts) -> Finding | None:
    if facts.bar is None:
        return None
    blocker = Blocker("job", facts.job.name, facts.bar)
    return Finding(word_of(facts.bar) or "kept_back", in_words(facts.bar), (blocker,))


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


_KEEPS: tuple[Check[SlotFacts], ...] = (_disabled, _kept_back)
CHECKS: tuple[Check[SlotFacts], ...] = (
    started,
    not_started,
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

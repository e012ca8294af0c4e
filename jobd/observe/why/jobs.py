"""Why a job is not running now: what keeps it back, or else what it waits for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from jobd.core import lateness
from jobd.core.lateness import Late
from jobd.core.model import Job
from jobd.core.reasons import in_words, word_of
from jobd.core.records import SlotRecord
from jobd.core.spans import rfc3339
from jobd.core.states import Disposition
from jobd.observe.why.findings import (
    Blocker,
    Check,
    Finding,
    Hold,
    Host,
    clock,
    draining,
    first,
    held,
    numbered,
    span,
    storage,
    together,
)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job in force, and how it stands."""

    host: Host
    job: Job
    place: str
    """`FILE:LINE` of its definition."""
    next_at: datetime | None = None
    running: tuple[int, ...] = ()
    running_since: datetime | None = None
    waiting: tuple[int, ...] = ()
    waits: Finding | None = None
    """Why the oldest of the waiting runs waits."""
    newest: SlotRecord | None = None
    """What became of its last slot."""
    on_boot: bool = False
    """It is due at each start of the host too."""
    holds: tuple[Hold, ...] = ()
    late: tuple[Late, ...] = ()
    """What it is late with."""
    problems: tuple[str, ...] = ()
    """What is wrong with the file it is defined in, while its last good version is in force."""


def why(facts: JobFacts) -> Finding:
    """Why a job is not running now; that it runs, where it does, and what keeps others of its runs back meanwhile."""
    standing = first(_STANDING, facts)
    if standing is not None:
        return _late(_beside(standing, facts), facts)
    return _late(together(OBSTACLES, facts) or first(_RESTING, facts) or _not_due(facts), facts)


def _late(finding: Finding, facts: JobFacts) -> Finding:
    """The same with what the job is late with."""
    told = (
        Blocker(
            "late", one.check, f"{lateness.in_words(one, facts.job)}: late since {clock(one.since, facts.host.zone)}"
        )
        for one in facts.late
    )
    return replace(finding, blockers=(*finding.blockers, *told))


def _beside(standing: Finding, facts: JobFacts) -> Finding:
    """The same with what may keep the job from running, where that is not told already."""
    found = [one for check in OBSTACLES if (one := check(facts)) is not None]
    others = (Blocker(one.reason, None, one.detail) for one in found if one.blockers[0] not in standing.blockers)
    return replace(standing, blockers=(*standing.blockers, *others))


def _running(facts: JobFacts) -> Finding | None:
    if not facts.running:
        return None
    since = f" for {span(facts.running_since, facts.host.now)}" if facts.running_since else ""
    blockers = tuple(Blocker("run", run, "is running") for run in facts.running)
    return Finding("running", f"it is running{since}: {numbered(facts.running)}", blockers)


def _waiting(facts: JobFacts) -> Finding | None:
    if not facts.waiting or facts.waits is None:
        return None
    waits = facts.waits
    blocker = Blocker("run", facts.waiting[0], waits.detail)
    detail = f"run {facts.waiting[0]} of it is there and waits ({waits.reason}): {waits.detail}"
    return Finding("waiting", detail, (blocker, *waits.blockers), waits.until)


def _draining(facts: JobFacts) -> Finding | None:
    return draining(facts.host)


def _storage(facts: JobFacts) -> Finding | None:
    return storage(facts.host)


def _disabled(facts: JobFacts) -> Finding | None:
    if facts.job.enabled:
        return None
    detail = f"it is disabled (enabled: false in {facts.place}): nothing starts it"
    return Finding("disabled", detail, (Blocker("file", facts.place, "says enabled: false"),))


def _held(facts: JobFacts) -> Finding | None:
    return held(facts.holds[0], facts.host) if facts.holds else None


def _broken(facts: JobFacts) -> Finding | None:
    if not facts.problems:
        return None
    detail = f"its file has problems, and what was in force before stays: {facts.problems[0]}"
    return Finding("definition_broken", detail, tuple(Blocker("file", None, problem) for problem in facts.problems))


def _on_request(facts: JobFacts) -> Finding | None:
    if facts.job.schedule.expressions:
        return None
    return Finding("no_schedule", f"it has no schedule (jobd-ctl run {facts.job.name} submits a run of it)")


def _never_again(facts: JobFacts) -> Finding | None:
    if facts.next_at is not None:
        return None
    if facts.on_boot:
        return Finding("on_boot", f"it is due once at each start of the host{_last(facts)}")
    detail = f"nothing of its schedule is ahead: {'; '.join(facts.job.schedule.expressions)}"
    return Finding("never_due", f"{detail}{_last(facts)}")


def _skipped(facts: JobFacts) -> Finding | None:
    slot = facts.newest
    if slot is None or slot.disposition is Disposition.STARTED:
        return None
    at = clock(slot.slot, facts.host.zone)
    why = f": {in_words(slot.reason)}" if slot.reason else ""
    blockers = (Blocker("slot", rfc3339(slot.slot), f"{slot.disposition}{why}"),)
    reason = word_of(slot.reason) if slot.disposition is Disposition.SKIPPED else ""
    return Finding(
        reason or slot.disposition,
        f"its last slot, {at}, was {slot.disposition}{why}; {_coming(facts)}",
        blockers,
        facts.next_at,
    )


def _not_due(facts: JobFacts) -> Finding:
    return Finding("not_due", f"{_coming(facts)}{_last(facts)}", until=facts.next_at)


def _coming(facts: JobFacts) -> str:
    at, host = facts.next_at, facts.host
    if at is None:
        return "no other is ahead"
    if at <= host.now:
        return f"the slot of {clock(at, host.zone)} is being decided now"
    return f"its next slot is {clock(at, host.zone)}, in {span(host.now, at)}"


def _last(facts: JobFacts) -> str:
    slot = facts.newest
    if slot is None:
        return "; it had none before"
    run = f" run {slot.run}" if slot.run is not None else ""
    state = f", which {'is' if not slot.run_state.is_final else 'has'} {slot.run_state}" if slot.run_state else ""
    return f"; the last one, {clock(slot.slot, facts.host.zone)}, {slot.disposition}{run}{state}"


_STANDING: tuple[Check[JobFacts], ...] = (_running, _waiting)
OBSTACLES: tuple[Check[JobFacts], ...] = (_draining, _storage, _disabled, _held, _broken)
"""What may keep a job from running; the first that holds is the reason, the others are told beside it."""
_RESTING: tuple[Check[JobFacts], ...] = (_on_request, _never_again, _skipped)

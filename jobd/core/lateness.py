"""Whether a job keeps what `expect` says of it: which checks it fails since when, and when to look again.

A check that fails is latched in the store and told of once; it is over when it holds again, or when the job is held:
time in which a job is paused owes nothing, neither while it is paused nor afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from jobd.core.model import Expect, Job
from jobd.core.spans import show_seconds

WARNS_AT = 0.8
"""The share of its timeout after which an attempt is near it."""
LOOK_AGAIN = timedelta(minutes=1)
"""Nobody says when a run becomes due that was asked for a later instant: jobs with such runs are looked at so often."""


class Check(StrEnum):
    SUCCESS = "max_time_since_success"
    START = "late_after"
    RUNTIME = "max_runtime"
    TIMEOUT = "timeout_warning"
    """Not late, but soon at its timeout: only for those who want to be told."""


_EXPECTED = (Check.SUCCESS, Check.START, Check.RUNTIME)
"""The checks that are keys of `expect`."""


@dataclass(frozen=True, slots=True)
class Late:
    """A check that fails: since when, and for which run where it is about one."""

    check: Check
    since: datetime
    run: int | None = None


@dataclass(frozen=True, slots=True)
class Underway:
    """A run with an attempt under way."""

    run: int
    started_at: datetime
    timeout_seconds: float | None = None
    """In place of the job's own."""


@dataclass(frozen=True, slots=True)
class Facts:
    """How a job stands."""

    first_seen_at: datetime
    last_success_at: datetime | None = None
    awaited: tuple[int, datetime] | None = None
    """The oldest run that has not started, and when it was due."""
    running: tuple[Underway, ...] = ()
    has_later: bool = False
    """Runs are there whose instant has yet to come."""
    is_held: bool = False
    """It is paused or disabled, or its queue or everything is paused."""
    is_open: bool = False
    """Its circuit keeps it back: its runs wait on purpose."""
    held_until: datetime | None = None
    """When its last pause ended."""


@dataclass(frozen=True, slots=True)
class Judgement:
    late: tuple[Late, ...] = ()
    look_at: datetime | None = None
    """When the next check fails if nothing happens until then; None where something has to happen first."""


def is_watched(job: Job) -> bool:
    """Whether there is anything to judge of a job."""
    return job.expect is not None or _warns(job)


def _warns(job: Job) -> bool:
    return job.notify is not None and Check.TIMEOUT in job.notify.on


def checks(job: Job) -> tuple[Check, ...]:
    """What of `expect` a job is held to."""
    expect = job.expect
    return () if expect is None else tuple(check for check in _EXPECTED if getattr(expect, check) is not None)


def judge(job: Job, facts: Facts, now: datetime) -> Judgement:
    """What a job is late with at `now`."""
    if facts.is_held or not job.enabled:
        return Judgement()
    late: dict[Check, Late] = {}
    coming = [now + LOOK_AGAIN] if facts.has_later and Check.START in checks(job) else []
    for due in _dues(job, facts):
        if due.since > now:
            coming.append(due.since)
        elif due.check not in late or due.since < late[due.check].since:
            late[due.check] = due
    return Judgement(tuple(late.values()), min(coming, default=None))


def _dues(job: Job, facts: Facts) -> Iterator[Late]:
    """Every check of a job with the instant from which on it fails."""
    expect = job.expect or Expect()
    if expect.max_time_since_success is not None:
        yield Late(
            Check.SUCCESS, _after(facts, facts.last_success_at or facts.first_seen_at, expect.max_time_since_success)
        )
    if expect.late_after is not None and facts.awaited is not None and not facts.is_open:
        run, due_at = facts.awaited
        yield Late(Check.START, _after(facts, due_at, expect.late_after), run)
    for one in facts.running:
        if expect.max_runtime is not None:
            yield Late(Check.RUNTIME, one.started_at + timedelta(seconds=expect.max_runtime), one.run)
        timeout = job.timeout_seconds if one.timeout_seconds is None else one.timeout_seconds
        if timeout and _warns(job):
            yield Late(Check.TIMEOUT, one.started_at + timedelta(seconds=timeout * WARNS_AT), one.run)


def _after(facts: Facts, start: datetime, seconds: float) -> datetime:
    return max(start, facts.held_until or start) + timedelta(seconds=seconds)


def is_told(one: Late, before: Late | None) -> bool:
    """Whether a failing check is what was told of already.

    What waits or has not succeeded is told of once, whichever run it is by now; of what runs each run is told of.
    """
    if before is None:
        return False
    return one.check in (Check.SUCCESS, Check.START) or one.run == before.run


def in_words(one: Late, job: Job) -> str:
    """What is wrong, in a sentence's half: `no run succeeded for 1d 2h`."""
    expect = job.expect or Expect()
    run = f"run {one.run}" if one.run is not None else "a run"
    match one.check:
        case Check.SUCCESS:
            return f"no run has succeeded within {_span(expect.max_time_since_success)}"
        case Check.START:
            return f"{run} has not started within {_span(expect.late_after)} of being due"
        case Check.RUNTIME:
            return f"{run} has been running for more than {_span(expect.max_runtime)}"
        case Check.TIMEOUT:
            return f"{run} has used {WARNS_AT:.0%} of its timeout"


def _span(seconds: float | None) -> str:
    return "what was expected" if seconds is None else show_seconds(seconds)

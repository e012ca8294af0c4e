"""What follows the end of an attempt: success, another one, or a final failure (SEMANTICS: Retry, Lost attempts)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobd.core.model import Directive, Ending, Job, RetryPolicy
from jobd.core.states import Outcome, Trigger

_SUBMITTED_ATTEMPTS = 3
_LONGEST_SECONDS = 10 * 365 * 86400.0
_SETTLE = timedelta(seconds=1)
"""An attempt that could not even be started is not tried again in a busy loop."""
_NEVER_HELPS = frozenset({126, 127})


@dataclass(frozen=True, slots=True)
class Succeed:
    """The run has succeeded."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The run gets another attempt at `at`; this one counts."""

    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The run goes on at `at` as if this attempt had not been."""

    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fail:
    """The run has failed for good; `reason` is a sentence for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class CancelIt:
    """The run ends cancelled: no failure, no retry."""

    reason: str


Verdict = Succeed | Retry | GiveBack | Fail | CancelIt


def after(
    ending: Ending,
    attempt: int,
    job: Job,
    trigger: Trigger,
    *,
    max_attempts: int,
    run_id: int,
    now: datetime,
    cancelling: bool = False,
    deadline: datetime | None = None,
) -> Verdict:
    """Say what becomes of a run whose attempt number `attempt` (from 1, given-back ones not counted) has ended.

    `cancelling` says that a cancel was accepted while it ran: whatever the end, the run is cancelled. At `deadline` the
    time of all attempts together is over.
    """
    verdict = _verdict(ending, attempt, job, trigger, max_attempts, run_id, now, cancelling)
    if isinstance(verdict, Retry | GiveBack) and deadline is not None and verdict.at >= deadline:
        return Fail(f"{verdict.reason} (its total_timeout is over before another attempt)")
    return verdict


def _verdict(
    ending: Ending,
    attempt: int,
    job: Job,
    trigger: Trigger,
    max_attempts: int,
    run_id: int,
    now: datetime,
    cancelling: bool,
) -> Verdict:
    if cancelling or ending.outcome is Outcome.CANCELLED:
        return CancelIt(ending.error if ending.outcome is Outcome.CANCELLED and ending.error else "cancelled")
    if ending.outcome is Outcome.INTERRUPTED or not ending.spent:
        return _given_back(ending, job, now)
    limit = 1 if job.retry.strategy == "none" else max_attempts
    if ending.directive is not None and ending.outcome in (Outcome.SUCCEEDED, Outcome.FAILED):
        return _directed(ending.directive, attempt, limit, now)
    if is_success(ending, job):
        return Succeed()
    if ending.outcome is Outcome.LOST:
        return _lost(ending, attempt, job, trigger, limit, now)
    return _failed(ending, attempt, job, limit, now + delay(job.retry, attempt, run_id))


def is_success(ending: Ending, job: Job) -> bool:
    """Whether an attempt has succeeded: by its outcome, or by an exit status that the job calls success."""
    if ending.outcome is Outcome.SUCCEEDED:
        return True
    return ending.outcome is Outcome.FAILED and ending.signal is None and ending.exit_code in job.success_exit_status


def default_max_attempts(job: Job, trigger: Trigger) -> int:
    """How many attempts a run gets where its submit does not say: 3, of a schedule 1."""
    if job.retry.strategy == "none":
        return 1
    if job.retry.max_attempts is not None:
        return job.retry.max_attempts
    return 1 if trigger.is_scheduled else _SUBMITTED_ATTEMPTS


def delay(policy: RetryPolicy, attempt: int, run_id: int) -> timedelta:
    """How long after attempt number `attempt` the next one starts.

    The jitter is drawn from the run and the attempt, so that the same question always has the same answer.
    """
    seconds = _base_delay(policy, attempt) * (1 + policy.jitter * (2 * _drawn(run_id, attempt) - 1))
    return _span(seconds)


def _base_delay(policy: RetryPolicy, attempt: int) -> float:
    match policy.strategy:
        case "none":
            return 0.0
        case "fixed":
            return policy.base_seconds
        case "exponential":
            try:
                grown = policy.base_seconds * policy.multiplier ** (attempt - 1)
            except OverflowError:
                grown = math.inf if policy.base_seconds else 0.0
            return min(policy.max_delay_seconds, grown)


def _drawn(run_id: int, attempt: int) -> float:
    """A number from 0 to 1, evenly spread over runs and attempts."""
    digest = hashlib.sha256(f"{run_id}.{attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / (2**64 - 1)


def _span(seconds: float) -> timedelta:
    """A delay that can be added to any instant, whatever number a job made up."""
    return timedelta(seconds=min(seconds, _LONGEST_SECONDS) if seconds > 0 else 0.0)


def _given_back(ending: Ending, job: Job, now: datetime) -> Verdict:
    if ending.started_at is None:
        return GiveBack(now + _SETTLE, ending.error or "it could not be started")
    if ending.outcome is Outcome.INTERRUPTED and job.on_shutdown == "stop":
        return Fail("it was stopped by a shutdown of jobd (on_shutdown: stop)")
    return GiveBack(now, ending.error or "interrupted")


def _directed(directive: Directive, attempt: int, limit: int, now: datetime) -> Verdict:
    """What the job itself asked for; it may not ask for more attempts than it has."""
    at = now + _span(directive.delay_seconds)
    match directive.kind:
        case "retry":
            return _again(attempt, limit, at, directive.reason or "the job asked for a retry")
        case "snooze":
            return GiveBack(at, directive.reason or "snoozed")
        case "cancel":
            return CancelIt(directive.reason or "the job cancelled itself")
        case "discard":
            return Fail(directive.reason or "the job discarded its run")


def _lost(ending: Ending, attempt: int, job: Job, trigger: Trigger, limit: int, now: datetime) -> Verdict:
    what = job.on_lost or ("fail" if trigger.is_scheduled else "retry")
    if what == "fail":
        return Fail(f"{_described(ending)} (on_lost: fail)")
    return _again(attempt, limit, now, _described(ending))


def _failed(ending: Ending, attempt: int, job: Job, limit: int, at: datetime) -> Verdict:
    hopeless = _hopeless(ending, job)
    return _again(attempt, limit, at, _described(ending)) if hopeless is None else Fail(hopeless)


def _again(attempt: int, limit: int, at: datetime, why: str) -> Retry | Fail:
    if attempt < limit:
        return Retry(at, why)
    return Fail(why if limit == 1 else f"{why} (attempt {attempt} of {limit}, no more are left)")


def _hopeless(ending: Ending, job: Job) -> str | None:
    """Why another attempt is not made, whatever number is left; None where it may be."""
    code, what = ending.exit_code, _described(ending)
    if code is not None and code in job.no_retry_exit_status:
        return f"{what} (no_retry_exit_status)"
    if not ending.retryable:
        return what
    if code is None:
        return None
    if job.retry_exit_status is not None:
        return None if code in job.retry_exit_status else f"{what} (not in retry_exit_status)"
    if ending.outcome is Outcome.FAILED and code in _NEVER_HELPS:
        return f"{what} (it could not be executed)"
    return None


def _described(ending: Ending) -> str:
    if ending.error:
        return ending.error
    if ending.outcome is Outcome.FAILED and ending.exit_code is not None:
        return f"exit status {ending.exit_code}"
    return str(ending.outcome)

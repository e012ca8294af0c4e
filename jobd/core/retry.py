"""Decides how a run goes on after an attempt (SEMANTICS: Retry, Lost attempts, Timeout and kill)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobd.core.model import Directive, Ending, Job, RetryPolicy
from jobd.core.states import Outcome, Trigger

SCHEDULED_ATTEMPTS, SUBMITTED_ATTEMPTS = 1, 3
TEMPFAIL = 75
NOT_EXECUTABLE = frozenset({126, 127})
_INTERRUPTED_PAUSE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Succeed:
    """The run has succeeded."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt at `at`; this one counts."""

    at: datetime


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Another attempt at `at`; this one does not count."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Fail:
    """The run has failed for good."""

    reason: str


@dataclass(frozen=True, slots=True)
class CancelIt:
    """The run ends as cancelled."""

    reason: str


Verdict = Succeed | Retry | GiveBack | Fail | CancelIt


def default_max_attempts(job: Job, trigger: Trigger) -> int:
    """How many attempts a run of the job has if nobody says otherwise."""
    if job.retry.strategy == "none":
        return 1
    if job.retry.max_attempts is not None:
        return job.retry.max_attempts
    return SCHEDULED_ATTEMPTS if trigger.is_scheduled else SUBMITTED_ATTEMPTS


def delay_seconds(policy: RetryPolicy, attempt: int, run_id: int) -> float:
    """The wait between attempt number `attempt` (from 1) and the next.

    Jitter is drawn from the run's id and the attempt alone, so that the same wait can be computed again.
    """
    match policy.strategy:
        case "none":
            return 0.0
        case "fixed":
            wait = policy.base_seconds
        case "exponential":
            wait = _exponential(policy, attempt)
    drawn = random.Random(f"{run_id}.{attempt}").uniform(-1.0, 1.0)  # noqa: S311 - spreads load, guards nothing
    return wait * (1.0 + policy.jitter * drawn)


def _exponential(policy: RetryPolicy, attempt: int) -> float:
    try:
        return min(policy.max_delay_seconds, policy.base_seconds * policy.multiplier ** (attempt - 1))
    except OverflowError:
        return policy.max_delay_seconds


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
) -> Verdict:
    """Say how a run goes on after an attempt; `attempt` counts the attempts that were not given back, this one included."""
    if cancelling or ending.outcome is Outcome.CANCELLED:
        # An attempt that made it to success before its cancel arrived has succeeded.
        return Succeed() if ending.outcome is Outcome.SUCCEEDED else CancelIt(ending.error or "cancelled")
    if ending.directive is not None:
        return _obey(ending.directive, attempt, max_attempts, now)
    match ending.outcome:
        case Outcome.SUCCEEDED:
            return Succeed()
        case Outcome.INTERRUPTED if not ending.spent:
            return GiveBack(now + _INTERRUPTED_PAUSE)
        case Outcome.LOST if (job.on_lost or _lost_default(trigger)) == "fail":
            return Fail(ending.error or "lost")
        case Outcome.FAILED if not _may_retry(ending, job):
            return Fail(ending.error or "failed")
    if attempt >= max_attempts or job.retry.strategy == "none":
        return Fail(ending.error or str(ending.outcome))
    return Retry(now + timedelta(seconds=delay_seconds(job.retry, attempt, run_id)))


def _lost_default(trigger: Trigger) -> str:
    return "fail" if trigger.is_scheduled else "retry"


def _may_retry(ending: Ending, job: Job) -> bool:
    code = ending.exit_code
    if not ending.retryable or code in NOT_EXECUTABLE or code in job.no_retry_exit_status:
        return False
    if job.retry_exit_status is not None:
        return code in job.retry_exit_status or code == TEMPFAIL
    return True


def _obey(directive: Directive, attempt: int, max_attempts: int, now: datetime) -> Verdict:
    """The job's own word wins over its exit status; a retry still needs an attempt that is left."""
    match directive.kind:
        case "snooze":
            return GiveBack(now + timedelta(seconds=directive.delay_seconds))
        case "cancel":
            return CancelIt(directive.reason or "cancelled by the job itself")
        case "discard":
            return Fail(directive.reason or "discarded by the job itself")
        case "retry" if attempt < max_attempts:
            return Retry(now + timedelta(seconds=directive.delay_seconds))
        case "retry":
            return Fail(directive.reason or "the job asked for another attempt, and none is left")

"""What follows the end of an attempt."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core import retry
from jobd.core.model import Command, Directive, Ending, Job, RetryPolicy
from jobd.core.retry import CancelIt, Fail, GiveBack, Retry, Succeed
from jobd.core.states import Outcome, Trigger

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
STEADY = RetryPolicy(jitter=0.0)


def job(**words: Any) -> Job:
    return Job("job", Command(("true",)), **({"retry": STEADY} | words))


def ending(outcome: Outcome = Outcome.FAILED, **words: Any) -> Ending:
    return Ending(outcome, **({"started_at": NOW} | words))


def failed(exit_code: int | None = 1, **words: Any) -> Ending:
    return ending(exit_code=exit_code, **words)


def after(
    end: Ending,
    attempt: int = 1,
    definition: Job | None = None,
    *,
    trigger: Trigger = Trigger.SUBMIT,
    max_attempts: int = 3,
    cancelling: bool = False,
) -> retry.Verdict:
    return retry.after(
        end,
        attempt,
        definition or job(),
        trigger,
        max_attempts=max_attempts,
        run_id=17,
        now=NOW,
        cancelling=cancelling,
    )


def in_seconds(verdict: retry.Verdict) -> float:
    assert isinstance(verdict, Retry | GiveBack)
    return (verdict.at - NOW).total_seconds()


def test_success_is_success() -> None:
    assert after(ending(Outcome.SUCCEEDED, exit_code=0)) == Succeed()


def test_an_exit_status_that_the_job_calls_success_is_success() -> None:
    assert after(failed(24), definition=job(success_exit_status=(0, 24))) == Succeed()
    assert after(failed(137, signal=9), definition=job(success_exit_status=(0, 137))) != Succeed()
    assert after(ending(Outcome.TIMEOUT, exit_code=124), definition=job(success_exit_status=(124,))) != Succeed()


def test_a_failure_is_tried_again_after_growing_delays_until_its_attempts_are_used_up() -> None:
    delays = [in_seconds(after(failed(), attempt, max_attempts=4)) for attempt in (1, 2, 3)]
    assert delays == [10.0, 20.0, 40.0]
    assert after(failed(), 4, max_attempts=4) == Fail("exit status 1 (attempt 4 of 4, no more are left)")
    assert after(failed(), max_attempts=1) == Fail("exit status 1")


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.KILLED, Outcome.OOM, Outcome.FAILED])
def test_every_kind_of_failure_is_tried_again(outcome: Outcome) -> None:
    assert isinstance(after(ending(outcome)), Retry)


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (RetryPolicy("fixed", base_seconds=7, jitter=0), [7, 7, 7]),
        (RetryPolicy("exponential", base_seconds=2, multiplier=3, jitter=0), [2, 6, 18]),
        (RetryPolicy("exponential", base_seconds=2, multiplier=3, max_delay_seconds=5, jitter=0), [2, 5, 5]),
        (RetryPolicy("exponential", base_seconds=0, jitter=0), [0, 0, 0]),
    ],
)
def test_delays_follow_their_formula(policy: RetryPolicy, delays: list[float]) -> None:
    assert [retry.delay(policy, attempt, 1).total_seconds() for attempt in (1, 2, 3)] == delays


def test_a_delay_never_overflows() -> None:
    policy = RetryPolicy("exponential", base_seconds=1, multiplier=10.0, max_delay_seconds=60, jitter=0)
    assert retry.delay(policy, 100_000, 1) == timedelta(seconds=60)
    nothing = RetryPolicy("exponential", base_seconds=0, multiplier=10.0, jitter=0)
    assert retry.delay(nothing, 100_000, 1) == timedelta(0)


@given(st.integers(1, 2**40), st.integers(1, 50), st.floats(0, 1))
def test_jitter_stays_in_its_bounds_and_can_be_computed_again(run: int, attempt: int, jitter: float) -> None:
    policy = RetryPolicy("fixed", base_seconds=100, jitter=jitter)
    delay = retry.delay(policy, attempt, run)
    assert delay == retry.delay(policy, attempt, run)
    assert 100 * (1 - jitter) - 1e-5 <= delay.total_seconds() <= 100 * (1 + jitter) + 1e-5


@given(st.integers(1, 2**40), st.integers(1, 40))
def test_a_delay_is_the_formula_with_a_tenth_of_jitter_drawn_from_the_run_and_the_attempt(run: int, k: int) -> None:
    """With the defaults: base 10 s, multiplier 2, at most an hour; jitter goes on top of that."""
    drawn = int(hashlib.sha256(f"{run}.{k}".encode()).hexdigest()[:16], 16) / (2**64 - 1) * 2 - 1
    assert retry.delay(RetryPolicy(), k, run).total_seconds() == pytest.approx(
        min(3600, 10 * 2 ** (k - 1)) * (1 + 0.1 * drawn), abs=1e-5
    )


def test_jitter_spreads_runs_apart_and_attempts_too() -> None:
    policy = RetryPolicy("fixed", base_seconds=100, jitter=0.1)
    delays = [retry.delay(policy, 1, run).total_seconds() for run in range(1000)]
    assert min(delays) < 90.5
    assert max(delays) > 109.5
    assert 99 < sum(delays) / 1000 < 101
    assert retry.delay(policy, 1, 1) != retry.delay(policy, 2, 1)


@pytest.mark.parametrize(
    ("exit_code", "words", "again"),
    [
        (1, {}, True),
        (75, {}, True),
        (126, {}, False),
        (127, {}, False),
        (3, {"no_retry_exit_status": (3, 4)}, False),
        (5, {"no_retry_exit_status": (3, 4)}, True),
        (75, {"no_retry_exit_status": (75,)}, False),
        (3, {"retry_exit_status": (3,)}, True),
        (5, {"retry_exit_status": (3,)}, False),
        (127, {"retry_exit_status": (127,)}, True),
        (3, {"retry_exit_status": (3,), "no_retry_exit_status": (3,)}, False),
        (None, {"retry_exit_status": (3,)}, True),
    ],
)
def test_exit_statuses_decide_whether_trying_again_can_help(
    exit_code: int | None, words: dict[str, Any], again: bool
) -> None:
    assert isinstance(after(failed(exit_code), definition=job(**words)), Retry if again else Fail)


def test_an_unusable_definition_is_not_tried_again() -> None:
    assert after(failed(None, retryable=False, error="user postgres does not exist")) == Fail(
        "user postgres does not exist"
    )


def test_a_timeout_counts_as_exit_status_124() -> None:
    timeout = ending(Outcome.TIMEOUT, exit_code=124)
    assert isinstance(after(timeout, definition=job(no_retry_exit_status=(124,))), Fail)
    assert isinstance(after(timeout, definition=job(retry_exit_status=(75,))), Fail)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_cancelled_run_is_never_tried_again(outcome: Outcome) -> None:
    end = ending(outcome, directive=Directive("retry", 1.0))
    assert isinstance(after(end, cancelling=True), CancelIt)
    assert isinstance(after(ending(Outcome.CANCELLED, error="replaced")), CancelIt)


def test_an_interrupted_attempt_is_given_back() -> None:
    verdict = after(ending(Outcome.INTERRUPTED, spent=False), 3, max_attempts=3)
    assert verdict == GiveBack(NOW, "interrupted")


def test_a_job_that_is_to_be_stopped_by_a_shutdown_ends_there() -> None:
    stopped = ending(Outcome.INTERRUPTED, spent=False)
    assert isinstance(after(stopped, definition=job(on_shutdown="stop")), Fail)
    unstarted = ending(Outcome.INTERRUPTED, spent=False, started_at=None)
    assert isinstance(after(unstarted, definition=job(on_shutdown="stop")), GiveBack)


def test_an_attempt_that_never_started_is_given_back_but_not_in_a_busy_loop() -> None:
    assert in_seconds(after(ending(Outcome.FAILED, spent=False, started_at=None), 3)) == 1.0


@pytest.mark.parametrize(
    ("trigger", "on_lost", "attempt", "again"),
    [
        (Trigger.SUBMIT, None, 1, True),
        (Trigger.WORKFLOW, None, 2, True),
        (Trigger.SUBMIT, None, 3, False),
        (Trigger.SUBMIT, "fail", 1, False),
        (Trigger.SCHEDULE, None, 1, False),
        (Trigger.CATCH_UP, None, 1, False),
        (Trigger.SCHEDULE, "retry", 1, True),
    ],
)
def test_a_lost_attempt_follows_on_lost(trigger: Trigger, on_lost: str | None, attempt: int, again: bool) -> None:
    verdict = after(ending(Outcome.LOST), attempt, job(on_lost=on_lost), trigger=trigger)
    assert verdict == Retry(NOW, "lost") if again else isinstance(verdict, Fail)


def test_strategy_none_is_one_attempt_whatever_the_submit_said() -> None:
    single = job(retry=RetryPolicy("none", max_attempts=5))
    assert retry.default_max_attempts(single, Trigger.SUBMIT) == 1
    assert isinstance(after(failed(), definition=single), Fail)


@pytest.mark.parametrize(
    ("own", "trigger", "attempts"),
    [
        (None, Trigger.SUBMIT, 3),
        (None, Trigger.WORKFLOW, 3),
        (None, Trigger.SCHEDULE, 1),
        (None, Trigger.CATCH_UP, 1),
        (5, Trigger.SCHEDULE, 5),
        (1, Trigger.SUBMIT, 1),
    ],
)
def test_attempts_depend_on_the_trigger_unless_the_job_says(own: int | None, trigger: Trigger, attempts: int) -> None:
    assert retry.default_max_attempts(job(retry=RetryPolicy(max_attempts=own)), trigger) == attempts


@pytest.mark.parametrize("end", [failed(), ending(Outcome.SUCCEEDED, exit_code=0)])
def test_a_job_may_say_how_its_run_goes_on(end: Ending) -> None:
    def said(kind: Any, attempt: int = 1) -> retry.Verdict:
        return after(
            Ending(end.outcome, NOW, exit_code=end.exit_code, directive=Directive(kind, 30.0, "because")), attempt
        )

    assert said("retry") == Retry(NOW + timedelta(seconds=30), "because")
    assert isinstance(said("retry", attempt=3), Fail)
    assert said("snooze", attempt=3) == GiveBack(NOW + timedelta(seconds=30), "because")
    assert said("cancel") == CancelIt("because")
    assert said("discard") == Fail("because")


def test_what_a_job_said_before_it_was_lost_or_killed_does_not_count() -> None:
    assert after(ending(Outcome.TIMEOUT, exit_code=124, directive=Directive("discard")), 1) != Fail("discarded")
    assert isinstance(after(ending(Outcome.LOST, directive=Directive("snooze", 5.0))), Retry)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -5.0, 1e300])
def test_no_delay_a_job_makes_up_harms_the_supervisor(seconds: float) -> None:
    verdict = after(failed(directive=Directive("snooze", seconds)))
    assert 0 <= in_seconds(verdict) <= 10 * 366 * 86400

"""SEMANTICS, Retry, as it is seen from outside: what jobs say by their exit codes, exceptions and result files."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.e2e.daemon import Host, until

CALLABLES = """
import jobd

def says(payload, context):
    if payload.get("until") == context.attempt:
        return "done"
    word = getattr(jobd, payload["word"])
    raise word(*payload["with"])
"""


@pytest.fixture(scope="module")
def retrying(served: Host) -> Host:
    served.script("retrying.py", CALLABLES)
    served.define(
        "retrying",
        """
        defaults: {retry: {strategy: fixed, base: 10ms, max_attempts: 3}}
        jobs:
          re-exit: {shell: 'exit "$(cat $JOBD_PAYLOAD_FILE)"'}
          re-lenient: {shell: 'exit "$(cat $JOBD_PAYLOAD_FILE)"', success_exit_status: [0, 24]}
          re-only: {shell: 'exit "$(cat $JOBD_PAYLOAD_FILE)"', retry_exit_status: [3]}
          re-never: {shell: 'exit "$(cat $JOBD_PAYLOAD_FILE)"', no_retry_exit_status: [3]}
          re-says: {python: "retrying:says"}
          re-writes:
            shell: 'test $JOBD_ATTEMPT = 1 && cat $JOBD_PAYLOAD_FILE > $JOBD_RESULT_FILE || echo 7 > $JOBD_RESULT_FILE'
          re-slowly: {command: ["false"], retry: {strategy: exponential, base: 3000s, multiplier: 1, jitter: 0.1}}
          re-default: {command: ["false"], retry: {base: 3000s}}
          re-none: {command: ["false"], retry: {strategy: none}}
        """,
    )

    def is_there() -> bool:
        with served.client() as client:
            return "re-none" in {one["name"] for one in client.jobs()}

    until(is_there, what=f"re-none is in force: {served.log()[-2000:]}")
    return served


def ended(host: Host, job: str, payload: Any = None, **options: Any) -> dict[str, Any]:
    with host.client() as client:
        return host.ended(int(client.submit(job, payload, **options)))


@pytest.mark.parametrize(
    ("job", "code", "state", "attempts"),
    [
        ("re-exit", 1, "failed", 3),
        ("re-exit", 75, "failed", 3),
        ("re-exit", 126, "failed", 1),
        ("re-exit", 127, "failed", 1),
        ("re-lenient", 24, "succeeded", 1),
        ("re-only", 3, "failed", 3),
        ("re-only", 4, "failed", 1),
        ("re-never", 3, "failed", 1),
        ("re-never", 4, "failed", 3),
        ("re-none", None, "failed", 1),
    ],
)
def test_an_exit_code_says_whether_there_is_another_attempt(
    retrying: Host, job: str, code: int | None, state: str, attempts: int
) -> None:
    found = ended(retrying, job, code)
    assert (found["state"], found["attempts"], found["exit_code"]) == (state, attempts, 1 if code is None else code)


def test_max_attempts_of_a_submit_count_all_of_them(retrying: Host) -> None:
    assert ended(retrying, "re-exit", 1, max_attempts=2)["attempts"] == 2


def drawn(run: int, attempt: int) -> float:
    """Where in its span the jitter of an attempt lies, from -1 to 1, worked out as anybody could."""
    return int(hashlib.sha256(f"{run}.{attempt}".encode()).hexdigest()[:16], 16) / (2**64 - 1) * 2 - 1


@pytest.mark.parametrize("job", ["re-slowly", "re-default"])
def test_a_delay_can_be_computed_again_from_the_run_and_the_attempt(retrying: Host, job: str) -> None:
    """The default jitter is a tenth of the delay, to both sides; the instant is kept as it was decided."""
    with retrying.client() as client:
        run = int(client.submit(job))
        waiting = until(lambda: found if (found := client.run(run))["state"] == "retrying" else None)
        (attempt,) = client.attempts(run)
        client.cancel(run)
    assert waiting is not None
    at, finished = (
        datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (waiting["run_at"], attempt["finished_at"])
    )
    decided = at - timedelta(seconds=3000 * (1 + 0.1 * drawn(run, 1)))
    assert timedelta(0) <= decided - finished + timedelta(milliseconds=1) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("word", "arguments", "state", "attempts", "error"),
    [
        ("Retry", [0.01, "busy"], "failed", 3, "busy"),
        ("Cancel", ["not wanted"], "cancelled", 1, "not wanted"),
        ("Discard", ["no such customer"], "failed", 1, "no such customer"),
    ],
)
def test_a_callable_says_by_an_exception_how_its_run_goes_on(
    retrying: Host, word: str, arguments: list[Any], state: str, attempts: int, error: str
) -> None:
    found = ended(retrying, "re-says", {"word": word, "with": arguments})
    assert (found["state"], found["attempts"]) == (state, attempts)
    assert error in found["error"]


def test_a_snooze_spends_no_attempt(retrying: Host) -> None:
    found = ended(retrying, "re-says", {"word": "Snooze", "with": [0.01], "until": 5}, max_attempts=1)
    assert (found["state"], found["result"]) == ("succeeded", "done")
    with retrying.client() as client:
        assert len(client.attempts(found["id"])) == 5


@pytest.mark.parametrize(
    ("word", "state", "executions"),
    [
        ({"retry_in": 0.01}, "succeeded", 2),
        ({"snooze_in": 0.01}, "succeeded", 2),
        ({"cancel": "not wanted"}, "cancelled", 1),
        ({"discard": "no such customer"}, "failed", 1),
    ],
)
def test_a_command_says_the_same_in_its_result_file(
    retrying: Host, word: dict[str, Any], state: str, executions: int
) -> None:
    found = ended(retrying, "re-writes", {"jobd": word})
    with retrying.client() as client:
        assert (found["state"], len(client.attempts(found["id"]))) == (state, executions)
    assert found["result"] == (7 if state == "succeeded" else None)


def test_a_run_out_of_attempts_or_discarded_is_a_dead_letter_whose_retry_counts_on(retrying: Host) -> None:
    spent = ended(retrying, "re-exit", 5)
    discarded = ended(retrying, "re-says", {"word": "Discard", "with": ["bad input"]})
    with retrying.client() as client:
        letters = {one["run"]: one for one in client.dead_letters(limit=1000)}
        assert letters[spent["id"]]["dlq_reason"].startswith("exited with 5")
        assert letters[spent["id"]]["dlq_timestamp"] >= spent["finished_at"][:19]
        assert (letters[spent["id"]]["dlq_attempts"], letters[spent["id"]]["original_queue"]) == (3, "default")
        assert (letters[discarded["id"]]["dlq_reason"], letters[discarded["id"]]["dlq_attempts"]) == ("bad input", 1)
        client.retry_dead(spent["id"], payload=0)
        found = retrying.ended(spent["id"])
        assert (found["state"], found["attempts"]) == ("succeeded", 4)
        (death,) = client.run(spent["id"])["dead_letters"]
        assert (death["dlq_attempts"], death["action"]) == (3, "retried")
        assert spent["id"] not in {one["run"] for one in client.dead_letters(limit=1000)}

"""Python callables: how they are called, what they may say, and what they cannot do to the worker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from jobd.core.model import Directive, Ending
from jobd.core.states import Outcome
from tests.work.harness import alive_with, floor, key, python, shell, token
from tests.work.test_children import needs_root, one, open_up

both = pytest.mark.parametrize("isolate", [False, True], ids=["warm", "isolated"])


def called(
    tmp_path: Path, callables: str, function: str, payload: Any = None, **values: Any
) -> tuple[Ending, bytes, bytes]:
    order = python(1, f"callables:{function}", payload=json.dumps(payload), **values)
    return one(tmp_path, order, python_path=[callables])


def all_called(tmp_path: Path, callables: str, calls: Sequence[tuple[str, Any]], **values: Any) -> list[Ending]:
    """The endings of several calls in one pool."""

    async def scenario() -> list[Ending]:
        async with floor(tmp_path, python_path=[callables], max_workers=2) as hall:
            return await hall.run(
                *(python(n, target, payload=json.dumps(payload), **values) for n, (target, payload) in enumerate(calls))
            )

    return asyncio.run(scenario())


@both
def test_a_callable_answers(tmp_path: Path, callables: str, isolate: bool) -> None:
    cases = [
        ("callables:answer", {"a": [1]}, {"got": {"a": [1]}}),
        ("callables:attempt", None, [1, 1, "job"]),
        ("callables:waiting", "x", "x"),
        ("callables:thing", None, "called"),
        ("callables:thing.method", None, "method"),
        ("callables:nothing", None, None),
    ]
    endings = all_called(tmp_path, callables, [case[:2] for case in cases], isolate=isolate)
    for (target, _, result), ending in zip(cases, endings, strict=True):
        assert (ending.outcome, ending.exit_code, ending.result) == (Outcome.SUCCEEDED, 0, result), target


@both
def test_an_exception_is_one_line_and_a_traceback(tmp_path: Path, callables: str, isolate: bool) -> None:
    ending, _, err = called(tmp_path, callables, "fail", isolate=isolate)
    assert (ending.outcome, ending.exit_code, ending.retryable) == (Outcome.FAILED, 1, True)
    assert ending.error and "\n" not in ending.error and ending.error.startswith("ValueError: broken")
    assert b"Traceback" in err and b"callables.py" in err


@both
def test_a_verdict_is_passed_on(tmp_path: Path, callables: str, isolate: bool) -> None:
    cases = [
        (["Retry", 30], Outcome.FAILED, Directive("retry", 30.0, "")),
        (["Retry", 5, "busy"], Outcome.FAILED, Directive("retry", 5.0, "busy")),
        (["Snooze", 60], Outcome.FAILED, Directive("snooze", 60.0, "")),
        (["Cancel", "no more"], Outcome.CANCELLED, Directive("cancel", 0.0, "no more")),
        (["Discard", "bad input"], Outcome.FAILED, Directive("discard", 0.0, "bad input")),
    ]
    endings = all_called(
        tmp_path, callables, [("callables:verdict", raised) for raised, _, _ in cases], isolate=isolate
    )
    for (raised, outcome, directive), ending in zip(cases, endings, strict=True):
        assert (ending.outcome, ending.directive) == (outcome, directive), raised
        assert ending.usage.stderr_bytes == 0, "a verdict is no error and has no traceback"


@both
def test_sys_exit_ends_the_job_and_not_the_worker(tmp_path: Path, callables: str, isolate: bool) -> None:
    cases = [(None, 0), (0, 0), (7, 7), ("said why", 1)]
    endings = all_called(tmp_path, callables, [("callables:leave", status) for status, _ in cases], isolate=isolate)
    for (status, exit_code), ending in zip(cases, endings, strict=True):
        assert ending.exit_code == exit_code, status
        assert ending.outcome is (Outcome.FAILED if exit_code else Outcome.SUCCEEDED), status


def test_what_cannot_be_found_is_not_tried_again(tmp_path: Path, callables: str) -> None:
    cases = [
        ("callables:missing", "missing"),
        ("no_such_module:f", "no_such_module"),
        ("callables", "package.module:function"),
        ("callables:os", "cannot be called"),
    ]
    for (target, words), ending in zip(
        cases, all_called(tmp_path, callables, [(target, None) for target, _ in cases]), strict=True
    ):
        assert (ending.outcome, ending.exit_code, ending.retryable) == (Outcome.FAILED, 126, False), target
        assert ending.error and words in ending.error, target


@both
def test_an_answer_that_is_no_json_fails(tmp_path: Path, callables: str, isolate: bool) -> None:
    ending, _, _ = called(tmp_path, callables, "unanswerable", isolate=isolate)
    assert (ending.outcome, ending.retryable) == (Outcome.FAILED, False)
    assert ending.error and "JSON" in ending.error


@both
def test_everything_it_writes_is_kept(tmp_path: Path, callables: str, isolate: bool) -> None:
    ending, out, err = called(tmp_path, callables, "speak", isolate=isolate)
    assert ending.outcome is Outcome.SUCCEEDED, err
    assert sorted(out.splitlines()) == [b"child", b"raw", b"to stdout"]
    assert sorted(err.splitlines()) == [b"c", b"logged", b"to stderr"]


def test_output_of_one_call_never_reaches_the_next(tmp_path: Path, callables: str) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables], max_workers=1) as hall:
            await hall.run(python(1, "callables:speak"), python(2, "callables:nothing"), shell(3, "echo own"))
            assert (hall.output(2), hall.output(2, "stderr"), hall.output(3)) == (b"", b"", b"own\n")

    asyncio.run(scenario())


def test_progress_reaches_the_supervisor(tmp_path: Path, callables: str) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables]) as hall:
            said: list[Any] = []
            hall.pool._on_progress = lambda *progress: said.append(progress)
            await hall.run(python(1, "callables:speak"))
            assert said == [(key(1), 0.5, "half")]

    asyncio.run(scenario())


def test_an_isolated_callable_stands_like_a_child(tmp_path: Path, callables: str) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables]) as hall:
            go_on = tmp_path / "go-on"
            order = python(1, "callables:linger", payload=json.dumps(str(go_on)), isolate=True, cwd="/usr")
            hall.pool.hand_out([order])
            await hall.until(lambda: key(1) in hall.started)
            go_on.touch()
            await hall.until(lambda: hall.ending(1))
            ending = hall.ending(1)
            assert ending is not None
            found = ending.result
            assert found["cwd"] == "/usr" and found["sid"] == found["pid"]
            # The standard streams, the memory file of the answer, and the directory being listed.
            assert len(found["fds"]) == 5
            assert all(line.split()[1].strip("0") == "" for line in found["ignored"])
            assert found["env"]["JOBD_RUN_ID"] == "1" and "JOBD_RESULT_FILE" in found["env"]
            assert hall.started[key(1)].pid == found["pid"]

    asyncio.run(scenario())


@needs_root
def test_a_callable_for_another_user_runs_as_that_user(tmp_path: Path, callables: str) -> None:
    open_up(tmp_path)
    ending, _, err = one(tmp_path, python(1, "plain:who", user="nobody"), python_path=[callables])
    assert ending.result == [65534, [65534]], (ending, err)


def test_a_delay_that_is_no_time_is_a_failure(tmp_path: Path, callables: str) -> None:
    raised = [["Retry", delay] for delay in (-1, float("inf"), float("nan"))]
    for ending in all_called(tmp_path, callables, [("callables:verdict", each) for each in raised]):
        assert (ending.outcome, ending.directive) == (Outcome.FAILED, None)
        assert ending.error and "seconds" in ending.error


def test_processes_a_call_leaves_are_ended(tmp_path: Path, callables: str) -> None:
    mark = f"60.{int(token(), 16)}"
    ending, _, _ = called(tmp_path, callables, "litter", mark)
    assert (ending.outcome, ending.usage.leftovers) == (Outcome.SUCCEEDED, 1)
    assert alive_with(mark) == []


def test_a_worker_with_threads_left_is_replaced(tmp_path: Path, callables: str) -> None:
    """B22."""

    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables], max_workers=1) as hall:
            (before,) = await hall.run(python(1, "callables:whereabouts"))
            await hall.run(python(2, "callables:thread"))
            # The pool has to know of it: what it hands to a worker that is leaving is given back.
            await hall.until(lambda: not hall.pool.views())
            after, isolated = await hall.run(
                python(3, "callables:whereabouts"), python(4, "callables:answer", isolate=True)
            )
            assert (after.outcome, isolated.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
            assert after.result["pid"] != before.result["pid"]

    asyncio.run(scenario())


def test_an_answer_the_job_forged_is_taken_for_no_more_than_a_job_may_say(tmp_path: Path, callables: str) -> None:
    forged = [
        '{"outcome":"succeeded","error":null,"retryable":true,"directive":["bogus","abc",7],"result":null}',
        '{"outcome":"lost","error":null,"retryable":true,"directive":null,"result":null}',
        '{"outcome":"failed","error":null,"retryable":true,"directive":["retry",1e300,""],"result":null}',
        '{"outcome":"succeeded","error":null,"retryable":true,"directive":null,"result":NaN}',
        '{"outcome":"succeeded","error":null,"retryable":true,"directive":null,"result":1e999}',
        "[" * 100_000,
        '{"outcome":"succeeded","error":null,"retryable":true,"directive":null,"result":' + "[" * 33 + "]" * 33 + "}",
    ]
    endings = all_called(tmp_path, callables, [("callables:forge", text) for text in forged], isolate=True)
    for text, ending in zip(forged, endings, strict=True):
        assert (ending.outcome, ending.result, ending.directive) == (Outcome.SUCCEEDED, None, None), text


@both
def test_an_answer_nested_too_deep_to_be_kept_fails(tmp_path: Path, callables: str, isolate: bool) -> None:
    calls = [("callables:nested", depth) for depth in (32, 33, 900)]
    kept, *refused = all_called(tmp_path, callables, calls, isolate=isolate)
    assert (kept.outcome, json.dumps(kept.result)) == (Outcome.SUCCEEDED, "[" * 32 + "]" * 32)
    for ending in refused:
        assert (ending.outcome, ending.retryable) == (Outcome.FAILED, False)
        assert ending.error and "32 levels" in ending.error

"""Python callables: how they are called, what they may say, and what they cannot do to the worker."""

from __future__ import annotations

import asyncio
import json
import os
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


@both
@pytest.mark.parametrize(
    ("function", "payload", "result"),
    [
        ("answer", {"a": [1]}, {"got": {"a": [1]}}),
        ("attempt", None, [1, 1, "job"]),
        ("waiting", "x", "x"),
        ("thing", None, "called"),
        ("thing.method", None, "method"),
        ("nothing", None, None),
    ],
)
def test_a_callable_answers(
    tmp_path: Path, callables: str, function: str, payload: Any, result: Any, isolate: bool
) -> None:
    ending, _, err = called(tmp_path, callables, function, payload, isolate=isolate)
    assert (ending.outcome, ending.exit_code, ending.result) == (Outcome.SUCCEEDED, 0, result), err


@both
def test_an_exception_is_one_line_and_a_traceback(tmp_path: Path, callables: str, isolate: bool) -> None:
    ending, _, err = called(tmp_path, callables, "fail", isolate=isolate)
    assert (ending.outcome, ending.exit_code, ending.retryable) == (Outcome.FAILED, 1, True)
    assert ending.error and "\n" not in ending.error and ending.error.startswith("ValueError: broken")
    assert b"Traceback" in err and b"callables.py" in err


@both
@pytest.mark.parametrize(
    ("raised", "outcome", "directive"),
    [
        (["Retry", 30], Outcome.FAILED, Directive("retry", 30.0, "")),
        (["Retry", 5, "busy"], Outcome.FAILED, Directive("retry", 5.0, "busy")),
        (["Snooze", 60], Outcome.FAILED, Directive("snooze", 60.0, "")),
        (["Cancel", "no more"], Outcome.CANCELLED, Directive("cancel", 0.0, "no more")),
        (["Discard", "bad input"], Outcome.FAILED, Directive("discard", 0.0, "bad input")),
    ],
)
def test_a_verdict_is_passed_on(
    tmp_path: Path, callables: str, raised: list[Any], outcome: Outcome, directive: Directive, isolate: bool
) -> None:
    ending, _, err = called(tmp_path, callables, "verdict", raised, isolate=isolate)
    assert (ending.outcome, ending.directive) == (outcome, directive)
    assert b"Traceback" not in err


@both
@pytest.mark.parametrize(("status", "exit_code"), [(None, 0), (0, 0), (7, 7), ("said why", 1)])
def test_sys_exit_ends_the_job_and_not_the_worker(
    tmp_path: Path, callables: str, status: Any, exit_code: int, isolate: bool
) -> None:
    ending, _, _ = called(tmp_path, callables, "leave", status, isolate=isolate)
    assert ending.exit_code == exit_code
    assert ending.outcome is (Outcome.FAILED if exit_code else Outcome.SUCCEEDED)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("callables:missing", "missing"),
        ("no_such_module:f", "no_such_module"),
        ("callables", "package.module:function"),
        ("callables:os", "cannot be called"),
    ],
)
def test_what_cannot_be_found_is_not_tried_again(tmp_path: Path, callables: str, target: str, words: str) -> None:
    ending, _, _ = one(tmp_path, python(1, target), python_path=[callables])
    assert (ending.outcome, ending.exit_code, ending.retryable) == (Outcome.FAILED, 126, False)
    assert ending.error and words in ending.error


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
            (ending,) = await hall.run(python(1, "callables:whereabouts", isolate=True, cwd="/usr"))
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


@pytest.mark.parametrize("delay", [-1, float("inf"), float("nan")])
def test_a_delay_that_is_no_time_is_a_failure(tmp_path: Path, callables: str, delay: float) -> None:
    ending, _, _ = called(tmp_path, callables, "verdict", ["Retry", delay])
    assert (ending.outcome, ending.directive) == (Outcome.FAILED, None)
    assert ending.error and "seconds" in ending.error


def test_processes_a_call_leaves_are_ended(tmp_path: Path, callables: str) -> None:
    mark = f"60.{int(token(), 16)}"
    ending, _, _ = called(tmp_path, callables, "litter", mark)
    assert (ending.outcome, ending.usage.leftovers) == (Outcome.SUCCEEDED, 1)
    assert alive_with(mark) == []


def test_a_worker_with_threads_left_is_replaced(tmp_path: Path, callables: str) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables], max_workers=1) as hall:
            await hall.run(python(1, "callables:thread"))
            first = hall.started[key(1)]
            await hall.until(lambda: not hall.pool.is_alive(first))
            (ending,) = await hall.run(python(2, "callables:answer", isolate=True))
            assert ending.outcome is Outcome.SUCCEEDED
            assert os.getpid() not in (first.pid, hall.started[key(2)].pid)

    asyncio.run(scenario())

"""Timeouts hold for every shape of job, and leave nothing behind."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobd.core.states import Outcome
from tests.work.harness import alive_with, command, floor, python, shell, token

TIMEOUT, KILL_AFTER = 0.3, 0.3

SHAPES = {
    "trap": "trap '' TERM ALRM; while :; do sleep 30.{mark}; done",
    "alarm(0)": "python3 -c 'import signal as s, time; s.alarm(0); s.signal(15, s.SIG_IGN); time.sleep(30)' {mark}",
    "own handler": "python3 -c 'import signal as s, time\nfor n in 14, 15: s.signal(n, lambda *a: None)\n"
    "while True: time.sleep(30)' {mark}",
    "background child": "(trap '' TERM; sleep 30.{mark}) & sleep 30.{mark}",
    "setsid child": "setsid sh -c 'trap \"\" TERM; sleep 30.{mark}; : {mark}' & sleep 30.{mark}",
    "double fork": "(setsid sh -c '(sh -c \"sleep 30.{mark}\" &) ; exit' &) ; sleep 30.{mark}",
    "shell child with a pipe": "sh -c 'sleep 30.{mark}; echo late'; echo later",
    "stopped": "kill -STOP $$; sleep 30.{mark}",
}


def test_every_shape_ends_in_time_and_leaves_nothing(tmp_path: Path) -> None:
    """B1 and T8: the seven shapes that outlive an alarm, and one that is stopped."""
    marks = {shape: str(int(token(), 16)) for shape in SHAPES}

    async def scenario() -> None:
        async with floor(tmp_path, max_workers=len(SHAPES)) as hall:
            await hall.run(*(shell(100 + n, ":") for n in range(len(SHAPES))))
            orders = [
                shell(n, text.replace("{mark}", marks[shape]), timeout_seconds=TIMEOUT, kill_after_seconds=KILL_AFTER)
                for n, (shape, text) in enumerate(SHAPES.items(), 1)
            ]
            for shape, ending in zip(SHAPES, await hall.run(*orders), strict=True):
                assert ending.outcome is Outcome.TIMEOUT, shape
                assert ending.exit_code == 124, shape
                assert ending.started_at and ending.finished_at
                took = (ending.finished_at - ending.started_at).total_seconds()
                assert TIMEOUT <= took < TIMEOUT + KILL_AFTER + 10, shape
                assert alive_with(marks[shape]) == [], shape

    asyncio.run(scenario())


def test_a_job_that_heeds_term_is_not_killed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            text = "trap 'echo tidied; exit 0' TERM; sleep 30 & wait"
            (ending,) = await hall.run(shell(1, text, timeout_seconds=0.3))
            assert ending.outcome is Outcome.TIMEOUT
            assert hall.output(1) == b"tidied\n"
            assert ending.error == "timed out after 0.3 s"

    asyncio.run(scenario())


def test_what_had_to_be_killed_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            for run in range(1, 9):
                order = shell(run, "trap '' TERM; sleep 30; :", timeout_seconds=0.2, kill_after_seconds=0.2)
                (ending,) = await hall.run(order)
                assert ending.outcome is Outcome.TIMEOUT
                # A worker that is given no time in half a second is ended itself, and names nothing.
                if ending.error and "together with its worker" not in ending.error:
                    break
            assert ending.error and "killed after another 0.2 s" in ending.error and "sleep" in ending.error

    asyncio.run(scenario())


def test_the_tree_is_kept_as_it_was_when_sigkill_was_due(tmp_path: Path) -> None:
    mark = str(int(token(), 16))

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            text = f"trap '' TERM; sleep 30.{mark}; :"
            heeds = shell(2, "exec sleep 30", timeout_seconds=0.2)
            hangs, ended = await hall.run(shell(1, text, timeout_seconds=0.5, kill_after_seconds=0.3), heeds)
            assert ended.snapshot == (), "SIGKILL never was due"
            seen = {one.command.split()[0]: one for one in hangs.snapshot}
            assert seen["sleep"].command == f"sleep 30.{mark}"
            assert seen["sleep"].parent == seen["/bin/sh"].pid
            assert (seen["sleep"].name, seen["sleep"].state) == ("sleep", "S")

    asyncio.run(scenario())


@pytest.mark.parametrize("isolate", [False, True])
def test_a_python_job_is_broken_off(tmp_path: Path, callables: str, isolate: bool) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables]) as hall:
            order = python(
                1, "callables:nap", payload="30", timeout_seconds=0.2, kill_after_seconds=0.3, isolate=isolate
            )
            (ending,) = await hall.run(order)
            assert (ending.outcome, ending.exit_code) == (Outcome.TIMEOUT, 124)

    asyncio.run(scenario())


def test_a_python_job_that_swallows_the_alarm_ends_with_its_worker(tmp_path: Path, callables: str) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables], max_workers=1) as hall:
            deaf = python(1, "callables:deaf", timeout_seconds=0.2, kill_after_seconds=0.2)
            since = time.monotonic()
            ending, behind = await hall.run(deaf, shell(2, "echo never"))
            assert time.monotonic() - since < 15
            assert (ending.outcome, ending.exit_code, ending.spent) == (Outcome.TIMEOUT, 124, True)
            assert ending.snapshot[0].name.startswith("jobd:worker"), "the pool kept what it ended"
            assert (behind.outcome, behind.spent, behind.started_at) == (Outcome.INTERRUPTED, False, None)
            (again,) = await hall.run(shell(3, "true"))
            assert again.outcome is Outcome.SUCCEEDED

    asyncio.run(scenario())


def test_a_stopped_worker_is_ended_by_the_pool(tmp_path: Path) -> None:
    """The worker is the first line of defence, and may be the one that hangs."""
    mark = str(int(token(), 16))

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            order = shell(
                1, f"sleep 0.1; kill -STOP $PPID; sleep 30.{mark}", timeout_seconds=0.2, kill_after_seconds=0.2
            )
            (ending,) = await hall.run(order)
            assert ending.outcome is Outcome.TIMEOUT
            assert alive_with(mark) == []

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_worker_that_hangs_before_it_tells_of_the_start_is_ended_too(tmp_path: Path) -> None:
    mark = str(int(token(), 16))

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            order = command(1, "python3", "-c", f"import os, time; os.kill(os.getppid(), 19); time.sleep(30); {mark}")
            (ending,) = await hall.run(replace(order, timeout_seconds=0.1, kill_after_seconds=0.1))
            assert ending.outcome is Outcome.TIMEOUT
            assert alive_with(mark) == []

    asyncio.run(scenario())


def test_what_total_timeout_left_is_named_when_it_is_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            (ending,) = await hall.run(shell(1, "sleep 30", timeout_seconds=0.3, total_seconds=0.3))
            assert (ending.outcome, ending.exit_code) == (Outcome.TIMEOUT, 124)
            assert ending.error == "timed out after 0.3 s, all that its total_timeout had left"

    asyncio.run(scenario())

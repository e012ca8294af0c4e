"""The asyncio client against the real control API: the same answers, many calls at a time, cancelled safely."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from jobd.client import AsyncClient, Client, RunFailed, Unreachable
from jobd.core.errors import Invalid, NotFound
from jobd.core.events import RunAccepted
from jobd.core.states import RunState, Trigger
from tests.control.desk import NOW, MemoryDesk, serving, submitted


def talking(tmp_path: Path, check: Callable[[MemoryDesk, AsyncClient], Awaitable[None]], **limits: Any) -> None:
    async def run() -> None:
        desk, path = MemoryDesk(), str(tmp_path / "jobd.sock")
        async with asyncio.timeout(60), serving(desk, path, **limits), AsyncClient(path) as client:
            await check(desk, client)

    asyncio.run(run())


def test_it_has_every_call_of_the_plain_client_with_the_same_arguments() -> None:
    def calls(kind: type) -> dict[str, Any]:
        named = {name: one for name, one in vars(kind).items() if not name.startswith("_")}
        return {name: inspect.signature(one).parameters for name, one in named.items()}

    plain, other = calls(Client), calls(AsyncClient)
    assert plain.keys() == other.keys()
    assert {name: list(found) for name, found in plain.items()} == {name: list(found) for name, found in other.items()}


def test_every_question_has_its_answer(tmp_path: Path) -> None:
    async def check(desk: MemoryDesk, client: AsyncClient) -> None:
        run = await client.submit("backup", {"a": 1}, key="k")
        assert (run, run.state) == (1, "queued")
        assert (await client.submit("backup", key="k")).duplicate
        assert await client.submit_many([{"job": "backup"}, {"command": "true"}]) == [2, 3]
        assert [one["id"] for one in await client.runs(limit=2)] == [3, 2]
        assert (await client.status())["healthy"] is True
        assert await client.retry_dead(4, 5) == [4, 5]
        desk.move(run, RunState.FAILED)
        assert [one["run"] for one in await client.dead_letters()] == [1]
        with pytest.raises(Invalid, match="did you mean"):
            await client.submit("bakup")
        with pytest.raises(NotFound):
            await client.run(99)

    talking(tmp_path, check)


def test_a_result_is_what_the_run_returned_or_why_there_is_none(tmp_path: Path) -> None:
    async def check(desk: MemoryDesk, client: AsyncClient) -> None:
        good, bad, slow = [submitted(desk) for _ in range(3)]
        desk.move(good, RunState.SUCCEEDED)
        desk.move(bad, RunState.FAILED)
        assert await client.result(good) is None
        with pytest.raises(RunFailed) as failed:
            await client.result(bad)
        assert failed.value.run["id"] == bad
        with pytest.raises(TimeoutError):
            await client.result(slow, 0.05)

    talking(tmp_path, check)


def test_many_wait_while_others_submit(tmp_path: Path) -> None:
    async def check(desk: MemoryDesk, client: AsyncClient) -> None:
        runs = [submitted(desk) for _ in range(30)]
        waiting = [asyncio.create_task(client.wait(run)) for run in runs]
        made = await asyncio.gather(*(client.submit("backup") for _ in range(50)))
        assert len(set(made)) == 50
        for run in runs:
            desk.move(run, RunState.SUCCEEDED)
        assert [(await one)["id"] for one in waiting] == runs

    talking(tmp_path, check)


def test_a_cancelled_call_leaves_no_answer_for_the_next_one(tmp_path: Path) -> None:
    async def check(desk: MemoryDesk, client: AsyncClient) -> None:
        run = submitted(desk)
        await client.version()
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await client.wait(run)
            assert (await client.version())["name"] == "jobd"

    talking(tmp_path, check)


def test_output_and_events_come_as_they_come(tmp_path: Path) -> None:
    async def check(desk: MemoryDesk, client: AsyncClient) -> None:
        run = submitted(desk)
        desk.start_attempt(run)
        desk.write(run, b"one")
        async with aclosing(client.output(run, "stdout", follow=True)) as pieces:
            assert await anext(pieces) == b"one"
            desk.write(run, b"two")
            assert await anext(pieces) == b"two"
            desk.end_attempt(run)
            assert [piece async for piece in pieces] == []
        async with aclosing(client.events(since=desk.recent.last, kind=["run_accepted"])) as told:
            desk.recent.take(RunAccepted(7, "backup", "default", Trigger.SUBMIT, NOW))
            assert (await anext(told))["run"] == 7
        assert [one["run"] async for one in client.events(follow=False)] == [7]
        with pytest.raises(NotFound):
            _ = [piece async for piece in client.output(99)]

    talking(tmp_path, check)


def test_a_connection_the_daemon_dropped_is_made_again(tmp_path: Path) -> None:
    async def check(_: MemoryDesk, client: AsyncClient) -> None:
        await client.version()
        (idle,) = client._idle
        async with asyncio.timeout(60):
            await idle._reader.read()
        assert await client.submit("backup") == 1

    talking(tmp_path, check, idle_seconds=0.1)


def test_nobody_there_is_unreachable_at_once_and_silence_at_the_timeout(tmp_path: Path) -> None:
    path = str(tmp_path / "jobd.sock")
    with pytest.raises(Unreachable, match="is it running"):
        asyncio.run(AsyncClient(path).version())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with pytest.raises(Unreachable, match=r"did not answer within 0\.1 s"):
            asyncio.run(AsyncClient(path, timeout_seconds=0.1).version())

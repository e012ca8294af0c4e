"""With a cgroup delegated to the forkserver, each attempt is killed as one group and no group stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobd.core.states import Outcome
from jobd.work import cgroup
from jobd.work.pool import ForkServer
from tests.work.harness import Floor, alive_with, attended, key, python, shell, token

ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


@pytest.fixture
def delegation() -> Iterator[str]:
    """A cgroup v2 directory of our own, as systemd would hand one over."""
    path = f"{cgroup.mount_point()}/jobd-test-{uuid.uuid4().hex[:8]}"
    try:
        os.mkdir(path)
    except OSError as problem:
        pytest.skip(f"no cgroup v2 to divide here: {problem}")
    yield path
    for directory, _, _ in os.walk(path, topdown=False):
        with suppress(OSError):
            os.rmdir(directory)
    assert not os.path.exists(path), "the tests must leave no group behind"


def started(tmp_path: Path, delegation: str, *python_path: str) -> ForkServer:
    prefix = ("/bin/sh", "-c", ENTER, delegation)
    return ForkServer.start(str(tmp_path / "run"), str(tmp_path / "out"), python_path, prefix, delegated=True)


def groups(delegation: str) -> set[str]:
    return {os.path.relpath(path, delegation) for path, _, _ in os.walk(delegation)} - {"."}


async def check(hall: Floor, delegation: str) -> None:
    await hall.until(lambda: hall.pool.containment == "cgroup")
    mark = str(int(token(), 16))
    orders = [
        shell(1, "cat /proc/self/cgroup"),
        python(2, "callables:nap", payload="0", isolate=True),
        shell(3, f"setsid sh -c 'trap \"\" TERM; sleep 30.{mark}; :' & trap '' TERM; sleep 31.{mark}; :",
              timeout_seconds=0.3, kill_after_seconds=0.2),
    ]  # fmt: skip
    first, isolated, killed = await hall.run(*orders)
    assert first.outcome is isolated.outcome is Outcome.SUCCEEDED
    assert b"/run-1.1\n" in hall.output(1)
    assert killed.outcome is Outcome.TIMEOUT
    assert alive_with(mark) == []
    assert not any("run-" in name for name in groups(delegation))


def test_attempts_have_groups_of_their_own(tmp_path: Path, delegation: str, callables: str) -> None:
    forkserver = started(tmp_path, delegation, callables)

    async def scenario() -> None:
        async with attended(tmp_path, forkserver) as hall:
            await check(hall, delegation)
            assert "forkserver" in groups(delegation)

    asyncio.run(scenario())
    assert forkserver.wait(5)
    assert groups(delegation) == {"forkserver"}


def test_t9_ten_daemons_that_heed_nothing_are_gone_with_their_group(tmp_path: Path, delegation: str) -> None:
    """Each has left session and parent, so that killing a process group would leave it alive."""
    mark = str(int(token(), 16))
    forkserver = started(tmp_path, delegation)
    daemon = f"setsid sh -c '(trap \"\" HUP INT TERM ALRM; sleep 60.{mark}) >/dev/null 2>&1 &'"
    text = f"trap '' TERM; for n in 1 2 3 4 5 6 7 8 9 10; do {daemon}; done; sleep 61.{mark}; :"

    async def scenario() -> None:
        async with attended(tmp_path, forkserver) as hall:
            await hall.until(lambda: hall.pool.containment == "cgroup")
            hall.pool.hand_out([shell(1, text, timeout_seconds=3.0, kill_after_seconds=0.2)])
            await hall.until(lambda: len(alive_with(f"60.{mark}")) >= 10)
            await hall.until(lambda: hall.ending(1))
            assert hall.ending(1).outcome is Outcome.TIMEOUT  # type: ignore[union-attr]
            assert alive_with(mark) == []

    asyncio.run(scenario())
    assert forkserver.wait(15)


def test_a_dead_workers_group_is_killed_and_removed(tmp_path: Path, delegation: str) -> None:
    mark = str(int(token(), 16))
    forkserver = started(tmp_path, delegation)

    async def scenario() -> None:
        async with attended(tmp_path, forkserver) as hall:
            hall.pool.hand_out([shell(1, f"setsid sleep 60.{mark} & sleep 61.{mark}")])
            await hall.until(lambda: len(alive_with(mark)) >= 2)
            os.kill(hall.pool.worker_of(key(1)).pid, signal.SIGKILL)  # type: ignore[union-attr]
            await hall.until(lambda: hall.ending(1))
            assert hall.ending(1).outcome is Outcome.LOST  # type: ignore[union-attr]
            assert alive_with(mark) == []
            assert not any(name.startswith("worker-1") for name in groups(delegation))

    asyncio.run(scenario())
    assert forkserver.wait(5)

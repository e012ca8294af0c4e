"""Jobs written not to end: each is dead when its time is up, with everything it started (RELIABILITY B1 to B8)."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from jobd.core.model import Ending
from jobd.core.states import Outcome
from jobd.work import identity, tree
from tests.work.harness import Floor, command, floor, key, shell
from tests.work.test_children import needs_root, open_up

SOURCE = Path(__file__).with_name("hostile.c")
TIMEOUT, KILL_AFTER = 0.3, 0.3
SHAPES = (
    *("deaf", "daemon", "closed", "breeding", "stopped", "renamed", "vfork", "waiting for vfork", "unprotected"),
    "chain",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program, where any user may execute it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler: some shapes cannot be had otherwise")
    built = tmp_path_factory.mktemp("hostile") / "hostile"
    open_up(built.parent)
    subprocess.run([compiler, "-O1", "-Wall", "-o", built, SOURCE], check=True)
    return str(built)


def alive_of(directory: Path) -> list[int]:
    """Every process with the mark of an attempt under `directory`: it is in the environment, which forks keep."""
    mark, found = f"JOBD_RUNTIME_DIR={directory}/run".encode(), []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                found.append(int(name))
        except OSError:
            continue
    return found


async def it_is_run(hall: Floor, behind: Ending, attempt: int = 1) -> None:
    """What waited behind the job as run 2 is run, at the latest when it is handed out again: nothing was spent."""
    while behind.outcome is Outcome.INTERRUPTED and attempt < 5:
        assert (behind.spent, behind.started_at) == (False, None), behind
        attempt += 1
        (behind,) = await hall.run(replace(shell(2, "echo next"), key=key(2, attempt)))
    assert behind.outcome is Outcome.SUCCEEDED, behind
    assert hall.output(2, attempt=attempt) == b"next\n"


@pytest.mark.parametrize("shape", SHAPES)
def test_b1_b2_every_shape_is_dead_when_its_time_is_up(tmp_path: Path, hostile: str, shape: str) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1) as hall:
            order = command(1, hostile, shape, timeout_seconds=TIMEOUT, kill_after_seconds=KILL_AFTER)
            ending, after = await hall.run(order, shell(2, "echo next"))
            left = alive_of(tmp_path)
            # A chain's first link ends by itself, and all that follows is what it left behind.
            assert ending.outcome is (Outcome.SUCCEEDED if shape == "chain" else Outcome.TIMEOUT), ending
            assert left == [], shape
            await it_is_run(hall, after)

    asyncio.run(scenario())


@needs_root
def test_b3_a_fork_bomb_is_dead_and_its_worker_goes_on(tmp_path: Path, hostile: str) -> None:
    open_up(tmp_path)

    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1) as hall:
            order = command(1, hostile, "bomb", timeout_seconds=0.5, kill_after_seconds=0.1)
            ending, after = await hall.run(order, shell(2, "echo next"))
            assert ending.outcome is Outcome.TIMEOUT, ending
            assert alive_of(tmp_path) == []
            await it_is_run(hall, after)

    asyncio.run(scenario())


def test_b4_whoever_holds_the_pipe_is_a_leftover_and_is_counted(tmp_path: Path, hostile: str) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1) as hall:
            (ending,) = await hall.run(command(1, hostile, "pipe", timeout_seconds=30.0))
            assert (ending.outcome, ending.usage.leftovers) == (Outcome.SUCCEEDED, 1)
            assert alive_of(tmp_path) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("shape", ["daemon", "breeding", "unprotected", "chain"])
def test_b5_a_worker_that_is_killed_takes_its_job_along(tmp_path: Path, hostile: str, shape: str) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1) as hall:
            text = f"{hostile} {shape} & sleep 0.3; kill -9 $PPID; sleep 60"
            (ending,) = await hall.run(shell(1, text))
            assert ending.outcome is Outcome.LOST
            assert alive_of(tmp_path) == [], "nothing lives once it is told"

    asyncio.run(scenario())


def test_b7_a_later_process_of_the_same_pid_is_never_signalled() -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        now = identity.of(stranger.pid)
        assert now is not None
        for earlier in (replace(now, start_ticks=now.start_ticks - 1), replace(now, boot_id="another")):
            assert not tree.send(earlier, signal.SIGKILL)
            assert tree.cut_down(lambda earlier=earlier: [earlier]) == set()  # type: ignore[misc]
        assert stranger.poll() is None
        assert tree.send(now, signal.SIGKILL)
        assert stranger.wait(10) == -signal.SIGKILL


@needs_root
def test_b7_a_pid_that_was_really_given_to_somebody_else_is_never_signalled() -> None:
    """The kernel is told which number comes next: the same one again, as after a day of busy hours."""
    last = Path("/proc/sys/kernel/ns_last_pid")
    if not os.access(last, os.W_OK):
        pytest.skip("the kernel does not let the next pid be chosen here")
    for _ in range(200):
        with subprocess.Popen(["true"]) as first:
            earlier = identity.of(first.pid)
            pidfd = os.pidfd_open(first.pid)
        try:
            last.write_text(str(first.pid - 1))
        except OSError as problem:
            pytest.skip(f"the kernel does not let the next pid be chosen here: {problem}")
        with subprocess.Popen(["sleep", "60"]) as stranger:
            try:
                if stranger.pid == first.pid and earlier is not None and identity.of(stranger.pid) != earlier:
                    assert not tree.send(earlier, signal.SIGKILL)
                    assert tree.cut_down(lambda earlier=earlier: [earlier]) == set()  # type: ignore[misc]
                    with pytest.raises(ProcessLookupError):
                        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    assert stranger.poll() is None
                    return
            finally:
                os.close(pidfd)
                stranger.kill()
    pytest.skip("others on this host took the number each time")


@pytest.mark.slow
def test_b8_a_thousand_daemons_leave_no_zombie(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, max_workers=2) as hall:
            text = "i=0; while [ $i -lt 100 ]; do (setsid sh -c ': & :' &); i=$((i+1)); done"
            endings = await hall.run(*(shell(n, text, timeout_seconds=60.0) for n in range(1, 11)))
            assert {ending.outcome for ending in endings} == {Outcome.SUCCEEDED}
            await hall.until(lambda: not zombies())

    asyncio.run(scenario())


def zombies() -> list[str]:
    """The dead whom a process of this test has not waited for."""
    found = []
    for name in os.listdir("/proc"):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split() if name.isdigit() else []
            title = Path(f"/proc/{fields[1]}/cmdline").read_bytes() if fields and fields[0] == "Z" else b""
        except OSError:
            continue
        if title.startswith(b"jobd:"):
            found.append(name)
    return found

"""Limits of an attempt as a whole are in force, or the attempt is refused (B3, B20)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobd.core.model import Ending, Limits
from jobd.core.states import Outcome
from jobd.work import groups
from jobd.work.accounts import Refused
from jobd.work.orders import Order
from tests.work.harness import attended, python, shell
from tests.work.test_cgroup import delegation, started
from tests.work.test_children import one

__all__ = ["delegation"]

MIB = 1024 * 1024
EACH = {
    "memory": (Limits(memory=64 * MIB), "memory"),
    "cpu": (Limits(cpu=0.5), "cpu"),
    "tasks": (Limits(tasks=20), "pids"),
    "io": (Limits(io=50), "io"),
}


def has(group: str, controller: str) -> bool:
    return controller in Path(group, "cgroup.controllers").read_text().split()


def run_in(tmp_path: Path, group: str, order: Order, *python_path: str) -> tuple[Ending, bytes]:
    forkserver = started(tmp_path, group, *python_path)

    async def scenario() -> tuple[Ending, bytes]:
        async with attended(tmp_path, forkserver) as hall:
            await hall.until(lambda: hall.pool.containment == "cgroup")
            (ending,) = await hall.run(order)
            return ending, hall.output(order.key.run)

    found = asyncio.run(scenario())
    assert forkserver.wait(10)
    return found


@pytest.mark.parametrize("word", EACH)
def test_without_a_group_of_its_own_the_attempt_is_refused(tmp_path: Path, word: str) -> None:
    ending, out, _ = one(tmp_path, shell(1, "echo ran", limits=EACH[word][0]))
    assert (ending.outcome, ending.exit_code, ending.retryable, out) == (Outcome.FAILED, 126, False, b"")
    assert ending.error and ending.error.startswith(f"limits.{word} cannot be applied: jobd has no cgroup of its own")


def test_best_effort_runs_without_and_says_so(tmp_path: Path) -> None:
    limits = Limits(memory=64 * MIB, cpu=0.5, files=64, best_effort=True)
    ending, out, _ = one(tmp_path, shell(1, "ulimit -n", limits=limits))
    assert (ending.outcome, out) == (Outcome.SUCCEEDED, b"64\n")
    assert ending.error and "limits.memory cannot" in ending.error and "limits.cpu cannot" in ending.error


@pytest.mark.parametrize("word", EACH)
def test_a_controller_that_the_host_does_not_hand_down_refuses_the_attempt(
    tmp_path: Path, delegation: str, word: str
) -> None:
    limits, controller = EACH[word]
    if has(delegation, controller):
        pytest.skip(f"this host hands down the {controller} controller")
    ending, out = run_in(tmp_path, delegation, shell(1, "echo ran", limits=limits))
    assert (ending.outcome, out) == (Outcome.FAILED, b"")
    assert ending.error and f"this host hands down no {controller} controller of cgroup v2" in ending.error


def test_too_much_memory_ends_the_whole_attempt_as_out_of_memory(tmp_path: Path, delegation: str) -> None:
    """B20."""
    if not has(delegation, "memory"):
        pytest.skip("this host hands down no memory controller")
    order = shell(
        1,
        "sleep 60 & head -c 200M /dev/zero | tail -c 150M | wc -c",
        limits=Limits(memory=48 * MIB),
        timeout_seconds=60.0,
    )
    ending, out = run_in(tmp_path, delegation, order)
    assert (ending.outcome, out) == (Outcome.OOM, b"")
    assert ending.error and "limits.memory" in ending.error
    assert 40 * MIB < ending.usage.peak_memory_bytes <= 48 * MIB


def test_too_much_memory_of_a_python_job_does_not_end_its_worker(
    tmp_path: Path, delegation: str, callables: str
) -> None:
    if not has(delegation, "memory"):
        pytest.skip("this host hands down no memory controller")
    (Path(callables) / "greedy.py").write_text("def eat(payload): return len(bytearray(200 << 20))\n")
    order = python(1, "greedy:eat", limits=Limits(memory=64 * MIB))
    ending, _ = run_in(tmp_path, delegation, order, callables)
    assert ending.outcome is Outcome.OOM


def test_a_fork_bomb_ends_at_its_tasks(tmp_path: Path, delegation: str) -> None:
    """B3."""
    if not has(delegation, "pids"):
        pytest.skip("this host hands down no pids controller")
    text = "for n in 1 2 3 4 5 6 7 8 9; do sleep 60 & done; wait"
    ending, _ = run_in(tmp_path, delegation, shell(1, text, limits=Limits(tasks=5), timeout_seconds=5.0))
    assert ending.outcome in (Outcome.FAILED, Outcome.TIMEOUT)


def test_a_job_that_does_not_say_has_a_bound_on_its_tasks(tmp_path: Path, delegation: str) -> None:
    if not has(delegation, "pids"):
        pytest.skip("this host hands down no pids controller")
    text = 'cat "$(findmnt -nt cgroup2 -o TARGET | head -1)$(sed -n s/^0:://p /proc/self/cgroup)/pids.max"'
    _, out = run_in(tmp_path, delegation, shell(1, text))
    assert out == b"512\n"


def leaf(directory: Path) -> str:
    """A directory with the files that the kernel puts into a group with every controller."""
    (directory / "cgroup.controllers").write_text("cpu io memory pids\n")
    for name in ("memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "pids.max", "io.weight"):
        (directory / name).touch()
    return str(directory)


def test_each_limit_is_said_in_the_words_of_the_kernel(tmp_path: Path) -> None:
    limits = Limits(memory=64 * MIB, cpu=1.5, tasks=7, io=50)
    assert groups.limit(leaf(tmp_path), limits) == ()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "cgroup.controllers": "cpu io memory pids\n",
        "memory.max": "67108864",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "cpu.max": "150000 100000",
        "pids.max": "7",
        "io.weight": "default 50",
    }


def test_a_file_that_the_kernel_does_not_have_refuses_the_attempt(tmp_path: Path) -> None:
    group = leaf(tmp_path)
    (tmp_path / "io.weight").unlink()
    with pytest.raises(Refused, match=r"^limits\.io cannot be applied: this kernel has no io\.weight"):
        groups.limit(group, Limits(io=50))


def test_out_of_memory_is_what_the_kernel_counts_as_such(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 0\noom_group_kill 0\n")
    assert groups.out_of_memory(str(tmp_path), Limits(memory=MIB)) is None
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 1\n")
    said = groups.out_of_memory(str(tmp_path), Limits(memory=MIB))
    assert said == "out of memory: it needed more than 1MiB (limits.memory)"
    (tmp_path / "memory.peak").write_text("4096\n")
    assert groups.peak_memory(str(tmp_path)) == 4096

"""What a process of a job is born with, whatever its ancestors brought along, and what becomes of one that is not born.

By the rows of RELIABILITY: B9 to B11, B15, B16, B22, T7, T10 and T17.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jobd.core.model import Ending, Limits
from jobd.core.states import Outcome
from jobd.work.orders import Order
from jobd.work.pool import ForkServer
from tests.work.harness import Floor, attended, command, floor, python, shell
from tests.work.test_children import needs_root, open_up, spawn_errors

PACKAGE = Path(__file__).parents[2] / "jobd"
SOURCE = Path(__file__).with_name("nofork.c")
ROUTES: dict[str, dict[str, Any]] = {
    "by vfork": {},
    "by fork": {"limits": Limits(core=0)},
    "as another user": {"user": "nobody"},
}
"""The ways in which a child comes into being."""
each_route = pytest.mark.parametrize(
    "route", ["by vfork", "by fork", pytest.param("as another user", marks=needs_root)]
)
BURDENED = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD, signal.SIGUSR1})
for number in signal.SIGPIPE, signal.SIGHUP, signal.SIGINT, signal.SIGTERM:
    signal.signal(number, signal.SIG_IGN)
os.dup2(os.open("/etc/passwd", os.O_RDONLY), 57, inheritable=True)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A parent that ignores and blocks what it should not, and leaves a descriptor open."""


def started(tmp_path: Path, *prefix: str, python_path: tuple[str, ...] = ()) -> ForkServer:
    return ForkServer.start(str(tmp_path / "run"), str(tmp_path / "out"), python_path, prefix)


def run_below(forkserver: ForkServer, tmp_path: Path, *orders: Order) -> tuple[list[Ending], list[bytes]]:
    async def scenario() -> tuple[list[Ending], list[bytes]]:
        async with attended(tmp_path, forkserver) as hall:
            endings = await hall.run(*orders)
            return endings, [hall.output(order.key.run) for order in orders]

    found = asyncio.run(scenario())
    assert forkserver.wait(15)
    return found


@each_route
def test_b9_t17_nothing_is_ignored_or_blocked_whatever_the_parent_did(tmp_path: Path, route: str) -> None:
    open_up(tmp_path)
    text = "grep -E 'Sig(Blk|Ign)' /proc/self/status; yes | head -n 1 >/dev/null; bash -o pipefail -c 'yes | head -n 1'"
    orders = (
        shell(1, f"{text} >/dev/null; echo $?", **ROUTES[route]),
        # Nothing but TERM is sent within the time of this test: a job that had it blocked would not end.
        shell(2, "exec sleep 600", timeout_seconds=0.2, kill_after_seconds=600.0, **ROUTES[route]),
    )
    (_, ended), (out, _) = run_below(started(tmp_path, sys.executable, "-c", BURDENED), tmp_path, *orders)
    assert out.split() == [b"SigBlk:", b"0" * 16, b"SigIgn:", b"0" * 16, b"141"], "head leaves, and yes ends by SIGPIPE"
    assert ended.outcome is Outcome.TIMEOUT


def test_b9_an_isolated_callable_is_born_like_a_program(tmp_path: Path, callables: str) -> None:
    """Python itself ignores SIGPIPE and SIGXFSZ, and nothing else."""
    forkserver = started(tmp_path, sys.executable, "-c", BURDENED, python_path=(callables,))
    ((ending,), _) = run_below(forkserver, tmp_path, python(1, "callables:whereabouts", isolate=True))
    assert [line.split()[1] for line in ending.result["ignored"]] == ["0" * 16, "0" * 16]


@each_route
def test_b10_a_child_has_no_descriptor_but_the_three_of_its_own(tmp_path: Path, route: str) -> None:
    open_up(tmp_path)
    order = command(1, "ls", "/proc/self/fd", **ROUTES[route])
    (_, (out,)) = run_below(started(tmp_path, sys.executable, "-c", BURDENED), tmp_path, order)
    assert out.split() == [b"0", b"1", b"2", b"3"], "the fourth is the directory that ls itself has open"


@each_route
def test_b11_a_childs_environment_is_built_from_nothing(tmp_path: Path, route: str) -> None:
    open_up(tmp_path)
    names = [
        *("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY"),
        *("JOURNAL_STREAM", "INVOCATION_ID", "LD_BIND_NOW", "PYTHONSTARTUP", "PYTHONBREAKPOINT", "BASH_ENV", "ENV"),
        *(f"CANARY_{number}" for number in range(27)),
    ]
    prefix = ("/usr/bin/env", *(f"{name}=canary-value" for name in names))
    (_, (out,)) = run_below(started(tmp_path, *prefix), tmp_path, command(1, "/usr/bin/env", **ROUTES[route]))
    assert b"canary" not in out and b"JOBD_RUN_ID=1" in out
    assert not {line.split(b"=")[0].decode() for line in out.splitlines()} & {*names} - {"NOTIFY_SOCKET"}


@each_route
def test_b15_each_way_not_to_start_has_a_name_by_every_route(tmp_path: Path, route: str) -> None:
    """ENOENT, EACCES, ENOEXEC, E2BIG, NUL and a missing directory are told apart, and all have the shape of an end."""
    open_up(tmp_path)
    directory = tmp_path / "programs"
    directory.mkdir(mode=0o755)
    taken = "as another user" in route
    cases = {name: case for name, case in spawn_errors(directory).items() if not (taken and "no such" in name)}

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            orders = [_by(route, order) for order, _, _ in cases.values()]
            for (name, (_, exit_code, words)), ending in zip(cases.items(), await hall.run(*orders), strict=True):
                assert (ending.outcome, ending.exit_code) == (Outcome.FAILED, exit_code), (name, ending)
                assert ending.error and words in ending.error, (name, ending.error)
                assert (ending.retryable, ending.spent, ending.started_at) == (False, True, None), name
                assert ending.finished_at is not None and ending.signal is None, name

    asyncio.run(scenario())


@each_route
def test_b15_a_program_that_is_being_written_may_be_tried_again(tmp_path: Path, route: str) -> None:
    open_up(tmp_path)
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    program.chmod(0o755)

    async def scenario() -> Ending:
        async with floor(tmp_path) as hall:
            (ending,) = await hall.run(command(1, str(program), **ROUTES[route]))
            return ending

    with program.open("r+b"):
        ending = asyncio.run(scenario())
    assert (ending.exit_code, ending.retryable, ending.spent) == (126, True, True), ending.error
    assert ending.error and "being written" in ending.error


def _by(route: str, order: Order) -> Order:
    from dataclasses import replace

    return replace(order, **ROUTES[route])


# B16: a machine that has no room for another process


@pytest.fixture(scope="module")
def nofork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler: the fault is put below Python")
    built = tmp_path_factory.mktemp("nofork") / "nofork.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-o", built, SOURCE, "-ldl"], check=True)
    yield str(built)


@asynccontextmanager
async def crowded(tmp_path: Path, nofork: str, **settings: Any) -> Any:
    """A pool whose processes cannot fork while `full` is there."""
    prefix = ("/usr/bin/env", f"LD_PRELOAD={nofork}", f"NOFORK={tmp_path / 'full'}")
    forkserver = started(tmp_path, *prefix)
    async with attended(tmp_path, forkserver, **settings) as hall:
        yield hall
    assert forkserver.wait(15)


async def tried(hall: Floor, run: int, **values: Any) -> Ending:
    (ending,) = await hall.run(shell(run, "echo ran", **values))
    return ending


@pytest.mark.parametrize("letter", ["EAGAIN", pytest.param("MEMORY", marks=pytest.mark.slow)])
@pytest.mark.parametrize("route", ["by vfork", "by fork"])
def test_b16_a_child_that_cannot_be_forked_costs_no_attempt(
    tmp_path: Path, nofork: str, letter: str, route: str
) -> None:
    full = tmp_path / "full"

    async def scenario() -> None:
        async with crowded(tmp_path, nofork, max_workers=1) as hall:
            assert (await tried(hall, 1)).outcome is Outcome.SUCCEEDED
            full.write_text(letter)
            refused = await tried(hall, 2, **ROUTES[route])
            assert (refused.outcome, refused.spent, refused.started_at) == (Outcome.INTERRUPTED, False, None)
            assert refused.error and refused.error.startswith("no process could be started: "), refused.error
            assert hall.degraded[-1][0] == "spawning" and "trying again in" in hall.degraded[-1][1]
            assert (hall.pool.room(), hall.pool.seats()) == (0, []), "nothing is started for a while"
            full.unlink()
            await hall.until(hall.pool.room)
            assert (await tried(hall, 3, **ROUTES[route])).outcome is Outcome.SUCCEEDED
            assert hall.degraded[-1] == ("spawning", "")

    asyncio.run(scenario())


@pytest.mark.parametrize("letter", ["EAGAIN", pytest.param("MEMORY", marks=pytest.mark.slow)])
def test_b16_a_worker_that_cannot_be_forked_costs_no_attempt(tmp_path: Path, nofork: str, letter: str) -> None:
    full = tmp_path / "full"
    full.write_text(letter)

    async def scenario() -> None:
        async with crowded(tmp_path, nofork, max_workers=1) as hall:
            refused = await tried(hall, 1)
            assert (refused.outcome, refused.spent, refused.started_at) == (Outcome.INTERRUPTED, False, None)
            assert hall.degraded[0][0] == "hiring" and "no worker could be forked" in hall.degraded[0][1]
            full.unlink()
            await hall.until(hall.pool.room)
            assert (await tried(hall, 2)).outcome is Outcome.SUCCEEDED
            assert hall.degraded[-1] == ("hiring", "")

    asyncio.run(scenario())


# Threads, and the end of a parent


def test_b22_t7_what_forks_has_one_thread(tmp_path: Path, callables: str) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables], max_workers=2) as hall:
            await hall.run(shell(1, ":"), python(2, "callables:answer"), python(3, "callables:answer", isolate=True))
            workers = [view.pid for view in hall.pool.views()]
            for pid in (hall.forkserver.pid, *workers):
                assert len(os.listdir(f"/proc/{pid}/task")) == 1

    asyncio.run(scenario())


def test_b22_t7_a_worker_with_threads_left_forks_nothing(tmp_path: Path, callables: str) -> None:
    """The order that would have to be forked in it goes back, and another worker does it."""

    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables], max_workers=1) as hall:
            threaded = python(1, "callables:thread")
            behind = python(2, "callables:answer", isolate=True)
            _, given_back = await hall.run(threaded, behind)
            assert (given_back.outcome, given_back.spent, given_back.started_at) == (Outcome.INTERRUPTED, False, None)

    asyncio.run(scenario())


def test_t7_t10_no_code_runs_between_fork_and_exec_and_nobody_relies_on_pdeathsig() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert "preexec_fn=" not in text and "PDEATHSIG" not in text, path


@each_route
def test_t10_a_child_is_not_ended_by_the_end_of_whoever_started_it(tmp_path: Path, route: str) -> None:
    open_up(tmp_path)
    get_pdeathsig = 2
    program = f"import ctypes; n = ctypes.c_int(9); ctypes.CDLL(None).prctl({get_pdeathsig}, ctypes.byref(n)); print(n)"

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            await hall.run(command(1, "/usr/bin/python3", "-c", program, **ROUTES[route]))
            assert hall.output(1) == b"c_int(0)\n"

    asyncio.run(scenario())

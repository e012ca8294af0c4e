"""B13, B14, T16: whom a job runs as is taken on whole or the job does not run; never does it run as more."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobd.core.model import Limits, Sandbox
from jobd.core.states import Outcome
from jobd.work.hiring import ForkServer
from tests.work.harness import Floor, attended, command, floor, python, shell

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run jobs as other users")

WHO = "grep -E '^(Uid|Gid|Groups):' /proc/self/status"
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "limits": {"limits": Limits(files=100)},
    "sandbox": {"sandbox": Sandbox(no_new_privileges=True)},
    "mounts": {"sandbox": Sandbox(read_only_root=True)},
}


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may reach, and root alone write to; with a module for Python jobs."""
    with tempfile.TemporaryDirectory(prefix="jobd-users-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "whoami.py").write_text(
            "def who(payload):\n"
            "    open(payload, 'w') if payload else None\n"
            "    lines = [line.split() for line in open('/proc/thread-self/status')]\n"
            "    return [line[1:] for line in lines if line[0] in ('Uid:', 'Gid:', 'Groups:')]\n"
        )
        yield directory


@pytest.fixture
def somebody() -> Iterator[str]:
    """A user made for a test, as an administrator makes one."""
    if shutil.which("useradd") is None or shutil.which("userdel") is None:
        pytest.skip("this host has no useradd")
    name = f"jobd-{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", "/", "--user-group", name], check=True)
    yield name
    subprocess.run(["userdel", "--force", name], check=False, capture_output=True)


@pytest.mark.parametrize("kind", KINDS)
def test_t16_no_job_of_another_user_has_a_group_of_roots(place: Path, kind: str) -> None:
    async def scenario() -> None:
        async with floor(place, python_path=[str(place)]) as hall:
            text, called = await hall.run(
                shell(1, WHO, user="nobody", **KINDS[kind]), python(2, "whoami:who", user="nobody", **KINDS[kind])
            )
            assert (text.outcome, called.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED), (text, called)
            ids = ["65534"] * 4
            read = [line.split()[1:] for line in hall.output(1).decode().splitlines()]
            for uids, gids, groups in (read, called.result):
                assert (uids, gids, groups) == (ids, ids, ["65534"])

    asyncio.run(scenario())


@pytest.mark.parametrize("lacking", ["setuid", "setgid"])
def test_b13_where_the_switch_fails_no_code_of_the_job_runs(place: Path, lacking: str) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("this host has no setpriv")
    runs = {"command": command(1, "touch", str(place / "ran-1"), user="nobody")}
    runs["call"] = python(2, "whoami:who", payload=json.dumps(str(place / "ran-2")), user="nobody")
    prefix = ["setpriv", f"--bounding-set=-{lacking}", f"--inh-caps=-{lacking}"]

    async def scenario(hall: Floor) -> None:
        for ending in await hall.run(*runs.values()):
            assert (ending.outcome, ending.exit_code, ending.started_at) == (Outcome.FAILED, 126, None), ending
            assert ending.error and "not permitted" in ending.error, ending

    asyncio.run(_under(place, prefix, scenario))
    assert list(place.glob("ran-*")) == []


def test_b13_a_user_with_too_many_processes_is_never_replaced_by_root(place: Path) -> None:
    if shutil.which("prlimit") is None:
        pytest.skip("this host has no prlimit")
    order = command(1, "touch", str(place / "ran"), user="nobody")

    async def scenario(hall: Floor) -> None:
        (ending,) = await hall.run(order)
        # Linux refuses its exec, and the attempt is given back; a kernel that does not look runs it as nobody.
        assert ending.outcome in (Outcome.INTERRUPTED, Outcome.FAILED), ending
        assert ending.spent == (ending.outcome is Outcome.FAILED), ending

    asyncio.run(_under(place, ["prlimit", "--nproc=0:0"], scenario))
    assert not (place / "ran").exists()


def test_b13_forty_groups_are_taken_on_to_the_last(place: Path) -> None:
    groups = tuple(range(40_000, 40_040))
    text = (
        "import os; from jobd.work.accounts import Account, become;"
        f"become(Account('n', 65534, 65534, {groups}, '/', '/bin/sh', True));"
        "print(os.getresuid(), os.getresgid(), sorted(os.getgroups()))"
    )
    said = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"{(65534,) * 3} {(65534,) * 3} {list(groups)}"


def test_b14_a_user_that_goes_is_missed_by_name_and_found_again_when_it_returns(place: Path, somebody: str) -> None:
    """Also under another uid: it is looked up for each attempt, by a worker that has seen the old one."""

    async def scenario() -> None:
        async with floor(place, max_workers=1) as hall:
            first = await _uid_of(hall, 1, somebody)
            await _do("userdel", somebody)
            (gone,) = await hall.run(command(2, "touch", str(place / "ran"), user=somebody))
            assert (gone.outcome, gone.exit_code, gone.retryable) == (Outcome.FAILED, 126, False)
            assert gone.error == f"there is no user '{somebody}' on this host"
            await _do("useradd", "--no-create-home", "--uid", str(first + 1000), somebody)
            assert await _uid_of(hall, 3, somebody) == first + 1000

    asyncio.run(scenario())


async def _do(*words: str) -> None:
    done = await asyncio.create_subprocess_exec(*words)
    assert await done.wait() == 0, words


async def _uid_of(hall: Floor, run: int, user: str) -> int:
    (ending,) = await hall.run(command(run, "id", "-u", user=user))
    assert ending.outcome is Outcome.SUCCEEDED, ending
    return int(hall.output(run))


async def _under(place: Path, prefix: list[str], scenario: Any) -> None:
    """A floor whose forkserver is started by a program that takes something from it."""
    forkserver = ForkServer.start(str(place / "run"), str(place / "out"), (str(place),), prefix)
    async with attended(place, forkserver) as hall:
        await scenario(hall)

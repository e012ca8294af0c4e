"""Python as another user, or isolated: an interpreter of its own, with nothing of anybody else's in its memory."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobd.core.model import Sandbox
from jobd.core.states import Outcome
from tests.work.harness import Floor, alive_with, floor, key, python, shell, token
from tests.work.test_children import needs_root

SNOOPER = """
import ctypes, os, re, time

def keep(payload): keep.kept = payload
def open_up(): ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # whoever has changed its user may look at itself only after this

def search(payload):
    \"\"\"How often the two halves stand side by side anywhere in this process; here they never do.\"\"\"
    open_up()
    first, second = (half.encode() for half in payload["halves"])
    mine = bytearray(first) + second if payload.get("plant") else None
    found = bytes_read = 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in maps.readlines():
            span, rights = line.split()[:2]
            if "r" not in rights:
                continue
            start, end = (int(edge, 16) for edge in span.split("-"))
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except (OSError, OverflowError, ValueError):
                continue  # vvar and vsyscall
            bytes_read += len(data)
            at = data.find(first)
            while at >= 0:
                found += data[at + len(first):at + len(first) + len(second)] == second
                at = data.find(first, at + 1)
            del data
    return [os.getuid(), found, bytes_read]

def whoami(payload):
    open_up()
    return [os.getuid(), open("/proc/self/cmdline").read(), open("/proc/self/environ").read()]
def nap(payload): time.sleep(payload)
def imported(payload):
    import sys
    return sorted(name for name in sys.modules if name.startswith("snooper"))
"""


@pytest.fixture
def snooper() -> Iterator[str]:
    """Where everybody finds the module: pytest closes its own directory to others whenever it starts anew."""
    with tempfile.TemporaryDirectory(prefix="jobd-snooper-") as directory:
        os.chmod(directory, 0o755)
        (Path(directory) / "snooper.py").write_text(SNOOPER)
        yield directory


def halves() -> tuple[str, dict[str, Any]]:
    secret = token() + token()
    return secret, {"halves": [secret[:32], secret[32:]]}


WAYS: list[Any] = [
    pytest.param({"user": "nobody"}, id="another user", marks=needs_root),
    pytest.param({"isolate": True}, id="isolated"),
    pytest.param({"user": "nobody", "sandbox": Sandbox(no_network=True)}, id="in a sandbox", marks=needs_root),
]


@pytest.mark.parametrize("way", WAYS)
def test_no_job_finds_in_its_memory_what_another_was_given(tmp_path: Path, snooper: str, way: dict[str, Any]) -> None:
    secret, parts = halves()

    async def scenario(hall: Floor) -> None:
        # The worker has had the secret in every form it takes: as a warm call, and as an order for somebody else.
        warm = python(1, "snooper:keep", payload=json.dumps(secret))
        other = python(2, "snooper:keep", payload=json.dumps(secret), isolate=True)
        third = shell(3, "cat", stdin=secret, env=(("SECRET", secret),))
        await hall.run(warm, other, third)
        snoop = python(4, "snooper:search", payload=json.dumps(parts), **way)
        control = python(5, "snooper:search", payload=json.dumps(parts | {"plant": True}), **way)
        (ending,) = await hall.run(snoop)
        assert ending.outcome is Outcome.SUCCEEDED, (ending, hall.output(4, "stderr"))
        assert ending.result[1] == 0 and ending.result[2] > 1_000_000, ending.result
        assert ending.result[0] == (65534 if "user" in way else os.getuid())
        (ending,) = await hall.run(control)
        assert ending.result[1] > 0, "the search has to find what is there"

    asyncio.run(in_one_worker(tmp_path, snooper, scenario))


@needs_root
def test_a_payload_is_in_nobody_elses_view_of_the_interpreter(tmp_path: Path, snooper: str) -> None:
    secret, _ = halves()

    async def scenario(hall: Floor) -> None:
        order = python(1, "snooper:whoami", payload=json.dumps(secret), user="nobody", env=(("KEY", secret),))
        (ending,) = await hall.run(order)
        uid, line, environment = ending.result
        assert (uid, secret in line, secret in environment) == (65534, False, False)
        assert "JOBD_RUN_ID=1" in environment.split("\0"), "by this it is found when its worker is gone"

    asyncio.run(in_one_worker(tmp_path, snooper, scenario))


def test_a_module_that_one_call_loaded_is_not_there_for_the_next(tmp_path: Path, snooper: str) -> None:
    async def scenario(hall: Floor) -> None:
        await hall.run(python(1, "snooper:keep", payload='"x"'))
        (ending,) = await hall.run(python(2, "snooper:imported", isolate=True))
        assert ending.result == ["snooper"]

    asyncio.run(in_one_worker(tmp_path, snooper, scenario))


@pytest.mark.parametrize("what", ["timeout", "stop"])
def test_an_interpreter_of_its_own_is_ended_like_any_child(tmp_path: Path, snooper: str, what: str) -> None:
    async def scenario(hall: Floor) -> None:
        seconds = 0.3 if what == "timeout" else 30.0
        hall.pool.hand_out([python(1, "snooper:nap", payload="30", isolate=True, timeout_seconds=seconds)])
        await hall.until(lambda: key(1) in hall.started)
        if what == "stop":
            hall.pool.stop(key(1), Outcome.CANCELLED)
        await hall.until(lambda: hall.ending(1))
        ending = hall.ending(1)
        assert ending is not None
        assert ending.outcome is (Outcome.TIMEOUT if what == "timeout" else Outcome.CANCELLED)

    asyncio.run(in_one_worker(tmp_path, snooper, scenario))


def test_an_interpreter_that_cannot_start_says_why(tmp_path: Path, snooper: str) -> None:
    async def scenario(hall: Floor) -> None:
        (ending,) = await hall.run(python(1, "snooper:nap", payload="0", isolate=True, cwd=str(tmp_path / "absent")))
        assert (ending.outcome, ending.exit_code) == (Outcome.FAILED, 126)
        assert ending.error == f"the working directory {tmp_path / 'absent'} is not there"
        assert alive_with(str(tmp_path / "absent")) == []

    asyncio.run(in_one_worker(tmp_path, snooper, scenario))


async def in_one_worker(tmp_path: Path, python_path: str, scenario: Any) -> None:
    async with floor(tmp_path, python_path=[python_path], max_workers=1) as hall:
        await scenario(hall)

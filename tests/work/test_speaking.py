"""What attempts say on their NOTIFY_SOCKET: heard from their own processes alone, and within bounds."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from jobd.core import notify
from jobd.core.notify import Said
from jobd.core.states import Outcome
from jobd.work import tree
from jobd.work.accounts import account_of
from jobd.work.ear import Ear, listen, tell
from jobd.work.orders import Order
from tests.work.harness import command, floor, python, shell

SPEAK = """
import os, socket, sys, time
own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
own.connect(os.environ["NOTIFY_SOCKET"])
def say(*words): own.send("\\n".join(words).encode())
"""


def speaker(run: int, code: str, **values: Any) -> Order:
    return command(run, sys.executable, "-I", "-c", SPEAK + code, **values)


def test_an_attempt_says_how_far_it_is_and_its_last_words_stay(tmp_path: Path) -> None:
    async def check() -> None:
        async with floor(tmp_path) as at:
            code = "say('STATUS=half way', 'PROGRESS=0.5'); sys.stdin.read()\nsay('PROGRESS=1.0'); time.sleep(0.05)"
            (ending,) = await at.run(speaker(1, code))
            assert (ending.outcome, ending.progress, ending.status_text) == (Outcome.SUCCEEDED, 1.0, "half way")
            assert at.said[0] == (1, 0.5, "half way")

    asyncio.run(check())


@pytest.mark.parametrize("isolate", [False, True])
def test_the_progress_of_a_callable_goes_the_same_way(tmp_path: Path, isolate: bool) -> None:
    text = "def work(payload, context):\n    context.progress(0.25, 'a\\tb')\n    return 7\n"
    (tmp_path / "said_by.py").write_text(text)

    async def check() -> None:
        async with floor(tmp_path, python_path=[str(tmp_path)]) as at:
            (ending,) = await at.run(python(1, "said_by:work", isolate=isolate))
            assert (ending.result, ending.progress, ending.status_text) == (7, 0.25, "a b")
            assert at.said == [(1, 0.25, "a b")]

    asyncio.run(check())


def test_an_attempt_that_falls_silent_is_ended_by_its_watchdog(tmp_path: Path) -> None:
    async def check() -> None:
        async with floor(tmp_path) as at:
            lively = "for _ in range(13): say('WATCHDOG=1'); time.sleep(0.5)"
            silent = "say('WATCHDOG=1'); time.sleep(600)"
            given_up = "say('WATCHDOG=trigger'); time.sleep(600)"
            alive, hung, gone = await at.run(
                speaker(1, lively, watchdog_seconds=6.0, timeout_seconds=60.0),
                speaker(2, silent, watchdog_seconds=0.5, kill_after_seconds=1.0, timeout_seconds=60.0),
                speaker(3, given_up, watchdog_seconds=30.0, kill_after_seconds=1.0, timeout_seconds=60.0),
            )
            assert alive.outcome is Outcome.SUCCEEDED
            assert (hung.outcome, hung.exit_code) == (Outcome.TIMEOUT, 124)
            assert "gave no sign of life for 0.5 s (watchdog)" in (hung.error or "")
            assert (gone.outcome, "asked to be ended" in (gone.error or "")) == (Outcome.TIMEOUT, True)

    asyncio.run(check())


def test_more_time_is_had_within_total_timeout_and_not_without_it(tmp_path: Path) -> None:
    async def check() -> None:
        async with floor(tmp_path) as at:
            code = "say('EXTEND_TIMEOUT_USEC=60000000'); time.sleep(5.0)"
            endless = "say('EXTEND_TIMEOUT_USEC=60000000'); time.sleep(600)"
            more, bounded, none = await at.run(
                speaker(1, code, timeout_seconds=4.0, total_seconds=60.0, kill_after_seconds=0.2),
                speaker(2, endless, timeout_seconds=4.0, total_seconds=4.5, kill_after_seconds=0.2),
                speaker(3, endless, timeout_seconds=1.0, kill_after_seconds=0.2),
            )
            assert more.outcome is Outcome.SUCCEEDED, more.error
            assert (bounded.outcome, none.outcome) == (Outcome.TIMEOUT, Outcome.TIMEOUT)
            assert "asked for included" in (bounded.error or "")

    asyncio.run(check())


def test_b12_no_other_process_can_speak_for_an_attempt(tmp_path: Path) -> None:
    """The same user, root even, but not below the worker: it is not listened to."""

    async def check() -> None:
        async with floor(tmp_path) as at:
            order = speaker(1, "say('STATUS=mine'); time.sleep(600)")
            at.pool.hand_out([order])
            await at.until(lambda: at.said)
            tell(str(tmp_path / "run" / "attempts" / "1.1" / "notify"), "STATUS=forged\nPROGRESS=1")
            at.pool.stop(order.key, Outcome.CANCELLED)
            await at.until(lambda: at.ending(1))
            ending = at.ending(1)
            assert ending is not None
            assert (ending.progress, ending.status_text) == (None, "mine")

    asyncio.run(check())


def test_b12_a_job_never_sees_the_socket_of_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "1")

    async def check() -> None:
        async with floor(tmp_path) as at:
            await at.run(shell(1, 'echo "$NOTIFY_SOCKET ${WATCHDOG_USEC-none}"'))
            assert at.output(1).decode().split() == [f"{tmp_path}/run/attempts/1.1/notify", "none"]

    asyncio.run(check())


def test_a_job_that_talks_without_end_is_slowed_and_harms_nobody(tmp_path: Path) -> None:
    async def check() -> None:
        async with floor(tmp_path) as at:
            code = "for at in range(250): say(f'STATUS={at}', f'PROGRESS={at / 250}')"
            (ending,) = await at.run(speaker(1, code, timeout_seconds=60.0))
            assert ending.outcome is Outcome.SUCCEEDED
            assert len(at.said) < 200

    asyncio.run(check())


def test_the_socket_belongs_to_the_job_and_goes_with_it(tmp_path: Path) -> None:
    own = account_of(None, None)
    ear = Ear(str(tmp_path / "notify"), own)
    assert stat.S_ISSOCK(os.stat(ear.path).st_mode)
    ear.close()
    assert listen(str(tmp_path / ("x" * 120)), own) is None

    async def check() -> None:
        async with floor(tmp_path) as at:
            await at.run(shell(1, "true"))
            assert not (tmp_path / "run" / "attempts" / "1.1").exists()

    asyncio.run(check())


def test_descriptors_that_come_along_are_closed_and_long_messages_dropped(tmp_path: Path) -> None:
    ear = Ear(str(tmp_path / "notify"), account_of(None, None))
    before = len(os.listdir("/proc/self/fd"))
    pid = os.fork()
    if pid == 0:
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        own.connect(ear.path)
        socket.send_fds(own, [b"STATUS=with descriptors\nBARRIER=1"], [0, 1, 2])
        own.send(b"STATUS=" + b"x" * notify.MOST_BYTES)
        own.send(b"STATUS=last")
        os.read(0, 0)
        os.kill(os.getpid(), 19)
        os._exit(0)
    try:
        os.waitpid(pid, os.WUNTRACED)
        assert [said.status for said in ear.heard()] == ["with descriptors", "last"]
        assert len(os.listdir("/proc/self/fd")) == before
        assert tree.descends(pid, os.getpid())
        assert not tree.descends(os.getppid(), os.getpid())
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        ear.close()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"STATUS=copying\nPROGRESS=0.5", Said(status="copying", progress=0.5)),
        (b"WATCHDOG=1", Said(is_alive=True)),
        (b"WATCHDOG=trigger", Said(gives_up=True)),
        (b"EXTEND_TIMEOUT_USEC=1500000\n", Said(extend_seconds=1.5)),
        (b"PROGRESS=1.5", Said()),
        (b"PROGRESS=nan", Said()),
        (b"PROGRESS=-0.1\nSTOPPING=1\nMAINPID=1\nREADY=1", Said()),
        (b"EXTEND_TIMEOUT_USEC=-1\nWATCHDOG=2", Said()),
        (b"EXTEND_TIMEOUT_USEC=99999999999999999999", Said()),
        (b"STATUS=\x1b[31mred\x1b[0m \xff\x00end", Said(status="[31mred [0m \ufffd end")),
        (b"", Said()),
        (b"\n=\n==", Said()),
    ],
)
def test_words_are_read_with_bounds(data: bytes, said: Said) -> None:
    assert notify.read(data) == said


def test_a_long_status_is_cut() -> None:
    text = notify.one_line("ä" * 10_000)
    assert (len(text), text[-1]) == (notify.MOST_STATUS, "…")

"""What a job sees (INTERFACES.md), word by word: its variables, its files, and its payload inside its arguments."""

from __future__ import annotations

import asyncio
import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobd.core.model import AttemptKey
from jobd.core.states import Outcome, Trigger
from jobd.work.orders import Order
from tests.work.harness import command, floor, shell

SLOT = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
HOSTILE = [
    "a b",
    "; rm -rf /",
    "$(id)",
    "`id`",
    "'\"",
    "-rf",
    "*",
    "\n",
    "\\",
    "${payload.other}",
    "ä \u2028",
    "%s",
    "",
]


def seen(directory: Path, order: Order) -> dict[str, str]:
    """The environment of an attempt, read with NULs in between."""

    async def run() -> bytes:
        async with floor(directory) as at:
            (ending,) = await at.run(order)
            assert ending.outcome is Outcome.SUCCEEDED, ending
            return at.output(order.key.run, attempt=order.key.attempt)

    lines = asyncio.run(run()).decode().split("\0")
    return dict(line.split("=", 1) for line in lines if line)


def env_of(**values: Any) -> Order:
    return command(7, "/usr/bin/env", "-0", **{"key": AttemptKey(7, 2)} | values)


@pytest.mark.parametrize("trigger", list(Trigger))
def test_every_variable_says_what_the_run_is(tmp_path: Path, trigger: Trigger) -> None:
    order = env_of(queue="mail", trigger=trigger, slot=SLOT, max_attempts=5, payload='{"n":1}')
    found = seen(tmp_path, order)
    named = {name: found[name] for name in found if name.startswith("JOBD_")}
    for own in ("JOBD_PAYLOAD_FILE", "JOBD_RESULT_FILE", "JOBD_RUNTIME_DIR"):
        assert Path(named.pop(own)).is_absolute()
    assert named == {
        "JOBD_JOB": "job",
        "JOBD_RUN_ID": "7",
        "JOBD_ATTEMPT": "2",
        "JOBD_MAX_ATTEMPTS": "5",
        "JOBD_QUEUE": "mail",
        "JOBD_TRIGGER": trigger.value,
        "JOBD_SLOT": "2026-03-01T01:30:00Z",
        "JOBD_PAYLOAD": '{"n":1}',
    }


def test_a_run_without_a_slot_has_no_variable_for_it(tmp_path: Path) -> None:
    assert "JOBD_SLOT" not in seen(tmp_path, env_of())


def test_the_words_of_jobd_cannot_be_set_by_a_job(tmp_path: Path) -> None:
    forged = (("JOBD_RUN_ID", "1"), ("JOBD_RESULT_FILE", "/etc/passwd"), ("NOTIFY_SOCKET", "/run/systemd/notify"))
    found = seen(tmp_path, env_of(env=forged))
    assert found["JOBD_RUN_ID"] == "7"
    assert {Path(found[name]).parent.name for name in ("JOBD_RESULT_FILE", "NOTIFY_SOCKET")} == {"7.2"}


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_payload_is_one_argument_one_variable_and_one_file(tmp_path: Path, value: str) -> None:
    payload = json.dumps({"v": value}, ensure_ascii=False)

    async def run() -> None:
        async with floor(tmp_path) as at:
            script = 'printf "%s\\0" "$#" "$1" "$2" "$JOBD_PAYLOAD"; cat "$JOBD_PAYLOAD_FILE"'
            order = command(1, "/bin/sh", "-c", script, "sh", "<${payload.v}>", "${payload.v}", payload=payload)
            await at.run(order)
            assert at.output(1).decode().split("\0") == ["2", f"<{value}>", value, payload, payload]

    asyncio.run(run())


def test_the_files_are_the_jobs_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with floor(tmp_path) as at:
            text = 'stat -c %a "$JOBD_PAYLOAD_FILE" "${JOBD_PAYLOAD_FILE%/*}"; echo \'{"n": 1}\' > "$JOBD_RESULT_FILE"'
            (ending,) = await at.run(shell(1, text))
            assert at.output(1).split() == [b"600", b"700"]
            assert ending.result == {"n": 1}

    asyncio.run(run())
    assert stat.S_ISDIR((tmp_path / "run" / "attempts").stat().st_mode)
    assert list((tmp_path / "run" / "attempts").iterdir()) == []


def test_a_child_finds_its_parent_and_its_result(tmp_path: Path) -> None:
    parent = [3, "before", "succeeded", "succeeded", None, {"n": 1}]
    text = 'echo "$JOBD_PARENT_RUN $JOBD_PARENT_JOB"; cat "$JOBD_PARENT_RESULT_FILE"'
    order = shell(4, text, parents=json.dumps([parent]))

    async def run() -> None:
        async with floor(tmp_path) as at:
            await at.run(order)
            assert at.output(4).decode() == '3 before\n{"n": 1}'

    asyncio.run(run())

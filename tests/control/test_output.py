"""Output as it was captured, at once and as it grows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jobd.core.states import RunState
from tests.control.desk import MemoryDesk, submitted
from tests.control.talk import Served, served

BYTES = bytes(range(256)) * 1000


def started(desk: MemoryDesk) -> int:
    run = submitted(desk)
    desk.start_attempt(run)
    return run


def test_output_is_the_bytes_that_were_written(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = started(it.desk)
        it.desk.write(run, BYTES)
        it.desk.write(run, b"oops", "stderr")
        for query, expected in [
            ("stream=stdout", BYTES),
            ("stream=stderr", b"oops"),
            ("", BYTES + b"oops"),
            ("stream=stdout&offset=255990", BYTES[255_990:]),
            ("stream=stdout&offset=999999", b""),
            ("attempt=1&stream=stderr", b"oops"),
        ]:
            answer = await it.ask("GET", f"/v1/runs/{run}/output?{query}")
            assert (answer.status, answer.body) == (200, expected), query
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["x-content-type-options"] == "nosniff"
        raw = await it.ask("GET", f"/v1/runs/{run}/output?raw=1&stream=stdout")
        assert (raw.headers["content-type"], raw.body) == ("application/octet-stream", BYTES)

    served(tmp_path, check)


LINES = [
    (0, b""),
    (1, b"unended"),
    (2, b"three password=***\nunended"),
    (3, b"two\nthree password=***\nunended"),
    (4, b"one\ntwo\nthree password=***\nunended"),
    (9, b"one\ntwo\nthree password=***\nunended"),
]


def test_the_last_lines_are_counted_from_the_present_end(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = started(it.desk)
        it.desk.write(run, b"one\ntwo\nthree password=hunter22\nunended")
        it.desk.write(run, b"a\n\nb\n", "stderr")
        for lines, expected in LINES:
            answer = await it.ask("GET", f"/v1/runs/{run}/output?stream=stdout&lines={lines}")
            assert answer.body == expected, lines
        for lines, expected in [(1, b"b\n"), (2, b"\nb\n"), (3, b"a\n\nb\n")]:
            assert (await it.ask("GET", f"/v1/runs/{run}/output?stream=stderr&lines={lines}")).body == expected
        assert (await it.ask("GET", f"/v1/runs/{run}/output?lines=1")).body == b"unendedb\n"
        assert (await it.ask("GET", f"/v1/runs/{run}/output?stream=stdout&lines=1&offset=1")).status == 422
        assert (await it.ask("GET", f"/v1/runs/{run}/output?lines=-1")).status == 422

    served(tmp_path, check)


def test_a_follower_may_begin_with_the_last_lines(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = started(it.desk)
        it.desk.write(run, b"one\ntwo\nthree\n")
        talk = await it.open()
        talk.ask("GET", f"/v1/runs/{run}/output?follow=1&stream=stdout&lines=1")
        await talk.head()
        assert await talk.chunk() == b"three\n"
        it.desk.write(run, b"four\n")
        assert await talk.chunk() == b"four\n"

    served(tmp_path, check)


def test_a_text_made_to_be_slow_to_mask_lets_others_have_their_turn(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = started(it.desk)
        it.desk.write(run, b"curl -u" * 50_000)
        asking = asyncio.ensure_future(it.ask("GET", f"/v1/runs/{run}/output?stream=stdout"))
        answered = 0
        while not asking.done():
            assert (await it.ask("GET", "/v1/version")).status == 200
            answered += 1
        assert (await asking).body.startswith(b"curl -u")
        assert answered > 3, "each piece of 8 KiB is a turn for somebody else"

    served(tmp_path, check)


def test_output_is_masked_and_nothing_else_of_it_changes(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = started(it.desk)
        written = b"one\npassword=hunter22 \xff\x1b[2J\nthe value v4lue-of-it\n"
        it.desk.masking = it.desk.masking.knowing([b"v4lue-of-it"])
        it.desk.write(run, written)
        shown = written.replace(b"hunter22", b"***").replace(b"v4lue-of-it", b"***")
        answer = await it.ask("GET", f"/v1/runs/{run}/output?stream=stdout")
        assert answer.body == shown
        raw = await it.ask("GET", f"/v1/runs/{run}/output?stream=stdout&raw=1")
        assert raw.body == written
        for offset in range(len(written)):
            cut = (await it.ask("GET", f"/v1/runs/{run}/output?stream=stdout&offset={offset}")).body
            assert shown.endswith(cut.removeprefix(b"***")), offset
            assert len(cut) <= len(written) - offset + 2

    served(tmp_path, check)


def test_a_follower_gets_no_part_of_a_secret_that_comes_in_pieces(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = started(it.desk)
        it.desk.write(run, b"let me in: v4lue")
        it.desk.masking = it.desk.masking.knowing([b"v4lue-of-it"])
        talk = await it.open()
        talk.ask("GET", f"/v1/runs/{run}/output?follow=1&stream=stdout")
        await talk.head()
        assert await talk.chunk() == b"let me in: "
        it.desk.write(run, b"-of-it and on\n")
        assert await talk.chunk() == b"*** and on\n"

    served(tmp_path, check)


def test_the_command_of_a_run_is_shown_masked(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        made = await it.ask("POST", "/v1/runs", {"command": ["mysql", "--password", "hunter22", "shop"]})
        shown = (await it.ask("GET", f"/v1/runs/{made.json['id']}")).json
        assert shown["command"] == ["mysql", "--password", "***", "shop"]

    served(tmp_path, check)


def test_a_run_that_has_not_started_has_no_output_yet(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = submitted(it.desk)
        answer = await it.ask("GET", f"/v1/runs/{run}/output")
        assert (answer.status, answer.body) == (200, b"")
        assert (await it.ask("GET", f"/v1/runs/{run}/output?attempt=1")).status == 404
        assert (await it.ask("GET", f"/v1/runs/{run}/output?stream=stdin")).status == 422
        assert (await it.ask("GET", f"/v1/runs/{run}/output?offset=3")).status == 422

    served(tmp_path, check)


def test_follow_waits_for_the_attempt_and_ends_with_it(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = submitted(it.desk)
        talk = await it.open()
        talk.ask("GET", f"/v1/runs/{run}/output?follow=1")
        await asked(it.desk, run)
        it.desk.write(run, b"one ")
        it.desk.start_attempt(run)
        assert (await talk.head()).headers["transfer-encoding"] == "chunked"
        assert await talk.chunk() == b"one "
        it.desk.write(run, b"two", "stderr")
        assert await talk.chunk() == b"two"
        it.desk.write(run, b" three")
        it.desk.end_attempt(run)
        assert await talk.chunk() == b" three"
        assert await talk.chunk() == b""
        talk.ask("GET", "/v1/version")  # the connection goes on
        assert (await talk.answer()).status == 200

    served(tmp_path, check)


async def asked(desk: MemoryDesk, run: int) -> None:
    async with asyncio.timeout(60):
        while run not in desk.moved.waiting:  # noqa: ASYNC110 - the desk has no event for being asked
            await asyncio.sleep(0.005)


def test_follow_ends_when_the_files_are_complete_although_nobody_woke_it(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = started(it.desk)
        it.desk.write(run, b"all")
        talk = await it.open()
        talk.ask("GET", f"/v1/runs/{run}/output?follow=1")
        await talk.head()
        assert await talk.chunk() == b"all"
        it.desk.outputs.closed.add((run, 1))
        assert await talk.chunk() == b""

    served(tmp_path, check)


def test_following_a_run_that_is_cancelled_before_it_starts_ends(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = submitted(it.desk)
        talk = await it.open()
        talk.ask("GET", f"/v1/runs/{run}/output?follow=1&attempt=1")
        await asked(it.desk, run)
        it.desk.move(run, RunState.CANCELLED)
        assert (await talk.answer()).status == 404

    served(tmp_path, check)


def test_a_follower_that_hangs_up_is_forgotten(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = started(it.desk)
        it.desk.write(run, b"x")
        talk = await it.open()
        talk.ask("GET", f"/v1/runs/{run}/output?follow=1")
        await talk.head()
        before = asyncio.all_tasks()
        talk.writer.close()
        async with asyncio.timeout(60):
            while it.reception.connections or len(asyncio.all_tasks()) >= len(before):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    served(tmp_path, check)


def test_a_follower_that_reads_nothing_is_dropped_without_harm_to_others(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = started(it.desk)
        it.desk.write(run, b"x" * 30_000_000)
        talk = await it.open()
        talk.ask("GET", f"/v1/runs/{run}/output?follow=1&stream=stdout")
        await talk.head()
        async with asyncio.timeout(60):
            while it.reception.connections:
                assert (await it.ask("GET", "/v1/version")).status == 200
                await asyncio.sleep(0.02)

    served(tmp_path, check, stalled_seconds=0.3)

"""The control socket against clients that send too much, too slowly, too many at once, or nonsense."""

from __future__ import annotations

import asyncio
import gzip
import random
from pathlib import Path

import pytest

from tests.control.talk import Served, Talk, served


def test_a_body_has_1_mib_and_a_batch_16(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        big = b'{"job": "backup", "payload": "' + b"x" * 1024 * 1024 + b'"}'
        assert (await it.ask("POST", "/v1/runs", big)).status == 413
        assert (await it.ask("POST", "/v1/runs", b"[" + big + b"]")).status == 422  # let in, and then over max_payload
        talk = await it.open()
        talk.send(b"POST /v1/runs HTTP/1.1\r\nHost: j\r\nContent-Length: 17000000\r\n\r\n")
        assert (await talk.answer()).status == 413
        for target in ("/v1/runs/1/cancel", "/v1/reload"):
            assert (await it.ask("POST", target, b"{" + b" " * 1024 * 1024 + b"}")).status in (404, 413)

    served(tmp_path, check)


def test_a_chunked_body_is_counted_as_it_comes(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        talk = await it.open()
        talk.send(b"POST /v1/runs HTTP/1.1\r\nHost: j\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(17):
            talk.send(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
        assert (await talk.answer()).status == 413

    served(tmp_path, check)


def test_a_client_that_asks_first_is_bidden_go_on(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        talk = await it.open()
        talk.send(b"POST /v1/runs HTTP/1.1\r\nHost: j\r\nContent-Length: 17\r\nExpect: 100-continue\r\n\r\n")
        assert (await talk.head()).status == 100
        talk.send(b'{"job": "backup"}')
        assert (await talk.answer()).status == 201
        for strange in ("200-ok", "\xe9"):
            assert (await it.ask("GET", "/v1/version", Expect=strange)).status == 417
        assert (await it.ask("GET", "/nowhere", Expect="\xe9")).status == 417

    served(tmp_path, check)


def test_a_compressed_body_is_refused_and_never_unpacked(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        bomb = gzip.compress(b" " * 50_000_000)
        answer = await it.ask("POST", "/v1/runs", bomb, Content_Encoding="gzip")
        assert answer.status == 400
        assert "encoded" in answer.json["detail"]

    served(tmp_path, check)


@pytest.mark.parametrize("lines", [["X: " + "a" * 9000], [f"X-{n}: {'a' * 1000}" for n in range(20)]])
def test_headers_over_16_kib_are_refused(tmp_path: Path, lines: list[str]) -> None:
    async def check(it: Served) -> None:
        talk = await it.open()
        talk.send("\r\n".join(["GET /v1/version HTTP/1.1", "Host: j", *lines, "", ""]).encode())
        answer = await talk.answer()
        assert answer.status in (400, 431)
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert await talk.ended()

    served(tmp_path, check)


def test_what_is_no_http_is_a_problem_document(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        talk = await it.open()
        talk.send(b'{"method": "status"}\n\r\n\r\n')
        answer = await talk.answer()
        assert (answer.status, answer.json["status"]) == (400, 400)
        assert await talk.ended()

    served(tmp_path, check)


def test_a_request_that_drips_is_dropped_at_its_deadline_and_nobody_else_waits(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        slow = [await it.open() for _ in range(40)]
        for talk in slow:
            talk.send(b"GET /v1/sta")
        assert (await it.ask("GET", "/v1/status")).status == 200
        assert not any(talk.reader.at_eof() for talk in slow), "all of them drip on"
        assert all(await asyncio.gather(*(talk.ended() for talk in slow)))

    served(tmp_path, check, request_seconds=3.0)


def test_a_body_that_drips_is_refused_at_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobd.control.bodies.DEADLINE_SECONDS", 0.2)

    async def check(it: Served) -> None:
        talk = await it.open()
        talk.send(b'POST /v1/runs HTTP/1.1\r\nHost: j\r\nContent-Length: 100\r\n\r\n{"job":')
        assert (await talk.answer()).status == 408
        assert await talk.ended()

    served(tmp_path, check)


def test_a_silent_connection_goes_after_its_time(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        fresh, used = await it.open(), await it.open()
        used.ask("GET", "/v1/version")
        await used.answer()
        assert await fresh.ended()
        assert await used.ended()

    served(tmp_path, check, idle_seconds=0.3)


def test_a_users_silent_connection_makes_room_for_its_next_one(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        idle = [await it.open() for _ in range(64)]
        await settled(it, 64)
        assert (await it.ask("GET", "/v1/version")).status == 200
        assert await idle[0].ended(1)
        assert it.reception.connections <= 64

    served(tmp_path, check)


def test_a_connection_that_asks_again_and_again_stays_and_the_longest_silent_one_goes(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        talks = [await it.open() for _ in range(64)]
        await settled(it, 64)
        for _ in range(3):
            talks[0].ask("GET", "/v1/version")
            assert (await talks[0].answer()).status == 200
            assert (await it.ask("GET", "/v1/version")).status == 200
            await it.open()
        assert await talks[1].ended(5)
        talks[0].ask("GET", "/v1/version")
        assert (await talks[0].answer()).status == 200

    served(tmp_path, check)


async def settled(it: Served, connections: int) -> None:
    async with asyncio.timeout(60):
        while it.reception.connections != connections:  # noqa: ASYNC110 - the server has no event for a connect
            await asyncio.sleep(0.01)


def test_the_65th_busy_connection_of_a_user_is_told_why_it_is_refused(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        await it.ask("POST", "/v1/runs", {"job": "backup"})
        busy = [await it.open() for _ in range(64)]
        for talk in busy:
            talk.ask("GET", "/v1/runs/1/wait?timeout=60")
        async with asyncio.timeout(60):
            while len(it.desk.ended.waiting.get(1, ())) < 64:  # noqa: ASYNC110 - the desk has no event for being asked
                await asyncio.sleep(0.01)
        answer = await (await it.open()).answer()
        assert answer.status == 503
        assert "64 per user" in answer.json["detail"]
        busy[0].writer.close()
        await settled(it, 63)
        assert (await it.ask("GET", "/v1/version")).status == 200

    served(tmp_path, check)


def test_places_are_kept_for_root(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        reception = it.reception
        await settled(it, 0)
        held = [await it.open() for _ in range(6)]
        await settled(it, 6)
        assert reception._make_room(0)
        assert not reception._make_room(4711)
        held[0].writer.close()
        await settled(it, 5)
        assert reception._make_room(4711)

    served(tmp_path, check, total=8, kept_for_root=2)


def test_a_thousand_garbled_requests_leave_no_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(1)
    good = [
        b'POST /v1/runs HTTP/1.1\r\nHost: jobd\r\nContent-Length: 38\r\n\r\n{"job": "backup", "payload": {"a": 1}}',
        b"GET /v1/runs?limit=2&state=queued HTTP/1.1\r\nHost: jobd\r\n\r\n",
        b"GET /v1/runs/1/output?offset=1&stream=stdout HTTP/1.1\r\nHost: jobd\r\n\r\n",
        b"POST /v1/runs/1/retry HTTP/1.1\r\nHost: jobd\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"GET /v1/jobs/backup/next?n=3 HTTP/1.1\r\nHost: jobd\r\nExpect: 100-continue\r\nUpgrade: x\r\n\r\n",
    ]

    spices = [b"\r\n", b"%00", b"%ff", b"{", b"\\ud800", b"-1", b"9" * 30, b"\0", b": "]

    def garbled() -> bytes:
        data = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randint(1, 8)]
                case 2:
                    data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
                case _:
                    data[at:at] = chance.choice(spices)
        return bytes(data)

    async def one(it: Served, data: bytes) -> None:
        talk = await Talk.open(it.path)
        talk.send(data)
        if chance.random() < 0.3:
            talk.writer.write_eof()
            assert await talk.ended(10), data
        else:
            await talk.ended(0.03)  # an answer, or a server that waits for the rest
        talk.writer.close()

    async def check(it: Served) -> None:
        await it.ask("POST", "/v1/runs", {"job": "backup"})
        for _ in range(50):
            await asyncio.gather(*(one(it, garbled()) for _ in range(20)))
        assert (await it.ask("GET", "/v1/status")).status == 200

    served(tmp_path, check, request_seconds=1.0)
    assert "Traceback" not in caplog.text
    assert caplog.text == ""

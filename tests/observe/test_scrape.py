"""The metrics address against good and bad clients, on real loopback sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from jobd.core.errors import JobdError, Unavailable
from jobd.observe import scrape
from jobd.observe.scrape import Scrape

TEXT = "text/plain; version=0.0.4; charset=utf-8"


def serving(check: Callable[[Scrape, int], Awaitable[None]], *, ailments: list[str] | None = None) -> None:
    async def run() -> None:
        made = Scrape(lambda accept: ([f"# {accept}\n".encode()], TEXT), lambda: ailments or [])
        address = await made.start("127.0.0.1", 0)
        try:
            await check(made, int(address.rpartition(":")[2]))
        finally:
            await made.close()

    asyncio.run(run())


async def ask(port: int, text: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode("latin-1"))
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - the server has no event for what is looked for
            await asyncio.sleep(0.01)


def request(path: str, method: str = "GET", host: str = "localhost:9764", extra: str = "") -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n"


def test_metrics_and_health_are_served() -> None:
    async def check(made: Scrape, port: int) -> None:
        assert await ask(port, request("/metrics?x=1", extra="Accept: a/b\r\n")) == (200, b"# a/b\n")
        assert await ask(port, request("/healthz")) == (200, b"ok\n")
        assert await ask(port, request("/metrics", "HEAD")) == (200, b"")

    serving(check)


def test_healthz_says_what_is_not_well() -> None:
    async def check(made: Scrape, port: int) -> None:
        assert await ask(port, request("/healthz")) == (503, b"storage_full: no space left\n")

    serving(check, ailments=["storage_full: no space left"])


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (request("/../../etc/passwd"), 404),
        (request("/"), 404),
        (request("/metrics", "POST", extra="Content-Length: 3\r\n") + "abc", 405),
        (request("/metrics", host="evil.example"), 403),
        (request("/metrics", host="127.0.0.1.evil.example"), 403),
        (request("/metrics", host="10.0.0.7"), 403),
        (request("/metrics", host="[::1]:9764"), 200),
        (request("/metrics", host="127.0.0.1"), 200),
        ("GET /metrics HTTP/1.1\r\n\r\n", 400),
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", 400),
        ("GET  /metrics  HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
        (request("/metrics", extra="X: " + "a" * 9000 + "\r\n"), 431),
    ],
)
def test_what_is_not_a_scrape_is_refused(text: str, status: int) -> None:
    async def check(made: Scrape, port: int) -> None:
        assert (await ask(port, text))[0] == status

    serving(check)


def test_a_scrape_is_answered_at_once_while_500_connections_drip() -> None:
    async def check(made: Scrape, port: int) -> None:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(500)]
        for _reader, writer in slow:
            with suppress(OSError):
                writer.write(b"GET /me")
        assert len(made._open) <= scrape.MOST_CONNECTIONS
        began = time.monotonic()
        status, _body = await ask(port, request("/metrics"))
        assert status == 200
        assert time.monotonic() - began < 5
        for _reader, writer in slow:
            writer.transport.abort()

    serving(check)


def test_a_connection_that_says_nothing_is_closed_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "DEADLINE_SECONDS", 0.3)

    async def check(made: Scrape, port: int) -> None:
        reader, _writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(8):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert made._open == {}

    serving(check)


def test_a_reader_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "DEADLINE_SECONDS", 0.3)

    async def run() -> None:
        made = Scrape(lambda _accept: ([b"x" * 50_000_000], TEXT), list)
        address = await made.start("127.0.0.1", 0)
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as peer:
            peer.sendall(request("/metrics").encode())
            await until(lambda: bool(made._open))
            await until(lambda: not made._open)
        await made.close()

    asyncio.run(run())


def test_figures_that_cannot_be_had_are_an_error_and_not_the_end() -> None:
    async def run() -> None:
        def render(_accept: str) -> tuple[list[bytes], str]:
            raise Unavailable("the store is busy")

        made = Scrape(render, list)
        port = int((await made.start("127.0.0.1", 0)).rpartition(":")[2])
        assert (await ask(port, request("/metrics")))[0] == 500
        assert (await ask(port, request("/healthz")))[0] == 200
        assert made.failures == 1
        await made.close()

    asyncio.run(run())


def test_an_address_in_use_is_told_with_the_setting_to_change() -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(JobdError, match=rf"metrics\.listen: cannot listen on 127\.0\.0\.1:{port}"):
                await Scrape(lambda _accept: ([b""], TEXT), list).start("127.0.0.1", port)

    asyncio.run(run())

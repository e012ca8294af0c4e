"""Serves /metrics and /healthz over TCP: an HTTP server of its own that is bounded in every direction."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from jobd.core.errors import JobdError

MOST_CONNECTIONS = 16
DEADLINE_SECONDS = 5.0
HEAD_LIMIT = 8 * 1024
_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    extra: str = ""


@dataclass(frozen=True, slots=True)
class _Question:
    method: str
    path: str
    host: str
    accept: str


class Scrape:
    """The metrics address. Each connection gets one answer; the slowest of too many makes room for the newest.

    `render` gives the metrics for an Accept header as (pieces of the body, content type); `health` what is not well.
    """

    def __init__(self, render: Callable[[str], tuple[Iterable[bytes], str]], health: Callable[[], list[str]]) -> None:
        self._render = render
        self._health = health
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, None] = {}
        self.failures = 0
        """Scrapes that could not be answered because the metrics themselves failed."""

    async def start(self, host: str, port: int) -> str:
        """Listen; the address taken as `host:port`, also where `port` was 0. Raises JobdError if it cannot be had."""
        try:
            self._server = await asyncio.start_server(self._meet, host, port, limit=HEAD_LIMIT, backlog=64)
        except OSError as error:
            reason = error.strerror or error
            raise JobdError(
                f"metrics.listen: cannot listen on {host}:{port}: {reason} (change it, or set it to null)"
            ) from error
        taken = self._server.sockets[0].getsockname()
        return f"[{taken[0]}]:{taken[1]}" if ":" in taken[0] else f"{taken[0]}:{taken[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MOST_CONNECTIONS:
            slowest = next(iter(self._open))
            del self._open[slowest]
            slowest.transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._converse(reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            writer.transport.abort()  # too slow, or gone: nobody is left to tell
        finally:
            self._open.pop(writer, None)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # With no buffer to spare, `drain` returns when the peer's socket has taken all of the answer.
        writer.transport.set_write_buffer_limits(0)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            reply, with_body = _refusal(431, f"the headers are over {HEAD_LIMIT // 1024} KiB"), True
        else:
            reply, with_body = await self._answer(head, writer.get_extra_info("sockname")[0])
        writer.write(_wire(reply, with_body=with_body))
        await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    async def _answer(self, head: bytes, address: str) -> tuple[_Reply, bool]:
        question = _read(head)
        if question is None:
            return _refusal(400, "not a request this server can read"), True
        with_body = question.method != "HEAD"
        if not _is_ours(question.host, address):
            return _refusal(403, "the Host header must name the listening address or loopback"), with_body
        if question.method not in ("GET", "HEAD"):
            refused = _Reply(405, b"only GET and HEAD are served\n", extra="Allow: GET, HEAD\r\n")
            return refused, with_body
        match question.path:
            case "/metrics":
                return await self._metrics(question.accept), with_body
            case "/healthz":
                return self._healthz(), with_body
            case _:
                return _refusal(404, "there is /metrics and /healthz"), with_body

    async def _metrics(self, accept: str) -> _Reply:
        """The metrics; everything else has a turn between two pieces, since there may be thousands of series."""
        body = []
        try:
            pieces, kind = self._render(accept)
            for piece in pieces:
                body.append(piece)
                await asyncio.sleep(0)
        except JobdError as error:
            self.failures += 1
            return _refusal(500, f"the figures cannot be had now: {' '.join(str(error).split())}")
        return _Reply(200, b"".join(body), kind)

    def _healthz(self) -> _Reply:
        ailments = self._health()
        return _Reply(503, "".join(f"{one}\n" for one in ailments).encode()) if ailments else _Reply(200, b"ok\n")


def _read(head: bytes) -> _Question | None:
    """The part of a request that matters here; None if it is not one with exactly one Host."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        return None
    headers: dict[str, str] = {}
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        key = name.lower()
        if not colon or not name or name != name.strip() or (key == "host" and key in headers):
            return None
        headers[key] = value.strip()
    if "host" not in headers:
        return None
    return _Question(words[0], words[1].partition("?")[0], headers["host"], headers.get("accept", ""))


def _is_ours(host: str, address: str) -> bool:
    """Whether a Host header names loopback or the address connected to, which a page elsewhere cannot make it do."""
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        named = ipaddress.ip_address(name)
    except ValueError:
        return False
    return named.is_loopback or named == ipaddress.ip_address(address.partition("%")[0])


def _refusal(status: int, text: str) -> _Reply:
    return _Reply(status, f"{text}\n".encode())


def _wire(reply: _Reply, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}\r\nContent-Type: {reply.kind}\r\n"
        f"Content-Length: {len(reply.body)}\r\n{reply.extra}"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (reply.body if with_body else b"")

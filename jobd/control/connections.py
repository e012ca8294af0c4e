"""One connection to the control socket: whose it is, and for how long its peer may keep jobd waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from jobd.control import problems
from jobd.core.intents import Actor


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, and how long they may keep jobd waiting."""

    total: int = 256
    per_user: int = 64
    kept_for_root: int = 16
    request_seconds: float = 5.0
    """From the first byte of a request to the last of its headers."""
    idle_seconds: float = 30.0
    stalled_seconds: float = 5.0
    """Without the peer taking any of what is ready for it."""


class Connection(web.RequestHandler):
    """One accepted connection: whose it is, and since when jobd waits for its peer."""

    __slots__ = ("actor", "busy", "closed", "request_since", "stalled_at", "stalled_size", "waiting_since")

    def __init__(self, server: web.Server, actor: Actor, closed: Callable[[Connection], None], **options: Any) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, **options)
        self.actor = actor
        self.closed = closed
        self.busy = False
        self.waiting_since = loop.time()
        self.request_since: float | None = None
        self.stalled_at = 0.0
        self.stalled_size = 0

    def data_received(self, data: bytes) -> None:
        if self.request_since is None and not self.busy:
            self.request_since = self._loop.time()
        super().data_received(data)

    def begin(self) -> None:
        """The headers of a request are complete: jobd's turn."""
        self.busy = True
        self.request_since = None

    def end(self) -> None:
        """The request is answered: the peer's turn."""
        self.busy = False
        self.waiting_since = self._loop.time()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.closed(self)

    def abort(self) -> None:
        """Drop the connection at once, unsent bytes included."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def is_late(self, now: float, limits: Limits) -> bool:
        """Whether the peer has kept jobd waiting for longer than it may."""
        if self._is_stalled(now, limits):
            return True
        if self.busy:
            return False
        if self.request_since is not None:
            return now - self.request_since > limits.request_seconds
        return now - self.waiting_since > limits.idle_seconds

    def _is_stalled(self, now: float, limits: Limits) -> bool:
        size = self.transport.get_write_buffer_size() if isinstance(self.transport, asyncio.WriteTransport) else 0
        if size == 0 or size != self.stalled_size:
            self.stalled_size, self.stalled_at = size, now
            return False
        return now - self.stalled_at > limits.stalled_seconds

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, and to a failure that nobody foresaw (whose traceback is logged)."""
        if isinstance(exc, ConnectionError):
            answer = problems.response(
                499, "gone", "the client hung up"
            )  # nobody is left to read it, nobody to log for
        elif not request.headers.get("Expect", "").isascii():
            # aiohttp cannot refuse these: it fails at quoting them.
            answer = problems.response(417, "expectation", "the Expect header is not one that jobd can meet")
        elif status >= 500 and exc is not None:
            self.log_exception("A request to %s failed", request.path, exc_info=exc)
            answer = problems.response(500, "internal", "jobd failed at this request; its log says more")
        else:
            answer = problems.response(status, "bad-request", f"not a request jobd can read: {_one_line(message)}")
        answer.force_close()
        return answer


def _one_line(message: str | None) -> str:
    return (message or "malformed HTTP").split("\n", 1)[0].strip().rstrip(":")


def actor_of(request: web.Request) -> Actor:
    """Who sends a request, as settled when the connection was accepted."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    return connection.actor

"""Takes connections on the control socket: who is let in, how many, how slow they may be; requests are aiohttp's."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from jobd.control import authorise, problems
from jobd.control.listen import Listening
from jobd.control.peers import Names, identify
from jobd.control.shapes import encode
from jobd.core.intents import Actor

_ACCEPTS_AT_ONCE = 64
_SWEEP_SECONDS = 1.0
_OUT_OF_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


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
        if status >= 500 and exc is not None:
            self.log_exception("A request to %s failed", request.path, exc_info=exc)
            answer = problems.response(500, "internal", "jobd failed at this request; its log says more")
        else:
            answer = problems.response(status, "bad-request", f"not a request jobd can read: {_one_line(message)}")
        answer.force_close()
        return answer


def _one_line(message: str | None) -> str:
    return (message or "malformed HTTP").split("\n", 1)[0].strip().rstrip(":")


class Reception:
    """Accepts, identifies and counts the connections of a listening socket, and drops those that are too slow."""

    def __init__(
        self,
        listening: Listening,
        runner: web.AppRunner,
        *,
        submitters: Callable[[], int | None],
        limits: Limits = Limits(),
    ) -> None:
        self._listening = listening
        self._runner = runner
        self._submitters = submitters
        self._limits = limits
        self._names = Names()
        self._open: dict[Connection, None] = {}
        self._by_user: Counter[int] = Counter()
        self._loop = asyncio.get_running_loop()
        self._sweeper: asyncio.TimerHandle | None = None
        self._resume: asyncio.TimerHandle | None = None
        self._joining: set[asyncio.Task[Any]] = set()
        self.refused = 0

    @property
    def connections(self) -> int:
        return len(self._open)

    def start(self) -> None:
        self._loop.add_reader(self._listening.socket.fileno(), self._accept)
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    async def close(self) -> None:
        """Take no more connections, end the requests in hand, drop what is left and remove the path."""
        self._loop.remove_reader(self._listening.socket.fileno())
        for timer in (self._sweeper, self._resume):
            if timer is not None:
                timer.cancel()
        self._listening.close()
        await self._runner.cleanup()

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                peer, _address = self._listening.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_ROOM:
                    raise
                self._pause()
                return
            self._receive(peer)

    def _pause(self) -> None:
        """Out of descriptors or memory: the listening socket would wake the loop for nothing, so look again later."""
        self._loop.remove_reader(self._listening.socket.fileno())
        self._resume = self._loop.call_later(
            _SWEEP_SECONDS, self._loop.add_reader, self._listening.socket.fileno(), self._accept
        )

    def _receive(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        who = identify(peer)
        if who is None:
            self.refused += 1
            peer.close()
            return
        if not self._make_room(who.uid):
            self.refused += 1
            _turn_away(peer, self._limits)
            return
        actor = authorise.actor(
            uid=who.uid,
            gid=who.gid,
            groups=who.groups,
            pid=who.pid,
            user=self._names.of(who.uid),
            daemon_uid=os.geteuid(),
            submitters=self._submitters(),
        )
        self._admit(peer, actor)

    def _make_room(self, uid: int) -> bool:
        """Whether one more connection of a user fits; its own longest silent one goes for it if need be."""
        limits = self._limits
        if self._by_user[uid] >= limits.per_user and not self._drop_silent(uid):
            return False
        free = limits.total - len(self._open)
        return free > (0 if uid == 0 else limits.kept_for_root)

    def _drop_silent(self, uid: int) -> bool:
        silent = next((c for c in self._open if c.actor.uid == uid and not c.busy), None)
        if silent is None:
            return False
        self._forget(silent)
        silent.abort()
        return True

    def _admit(self, peer: socket.socket, actor: Actor) -> None:
        server = self._runner.server
        assert server is not None
        connection = Connection(
            server,
            actor,
            self._forget,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=self._limits.idle_seconds,
            lingering_time=1.0,
            tcp_keepalive=False,
        )
        self._open[connection] = None
        self._by_user[actor.uid] += 1
        joining = self._loop.create_task(self._join(connection, peer))
        self._joining.add(joining)
        joining.add_done_callback(self._joining.discard)

    async def _join(self, connection: Connection, peer: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, peer)
        except OSError:
            self._forget(connection)
            peer.close()

    def _forget(self, connection: Connection) -> None:
        """Count a connection out; the second time for the same one changes nothing."""
        if connection in self._open:
            del self._open[connection]
            self._by_user[connection.actor.uid] -= 1

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [c for c in self._open if c.is_late(now, self._limits)]:
            connection.abort()
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)


def _turn_away(peer: socket.socket, limits: Limits) -> None:
    """Say why before hanging up, as far as the peer's buffer takes it."""
    detail = f"too many connections ({limits.per_user} per user, {limits.total} in all); close some and try again"
    body = encode(problems.document(503, "unavailable", detail))
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with peer, suppress(OSError):
        peer.send(head.encode() + body)
        peer.shutdown(socket.SHUT_WR)


async def receive(
    listening: Listening,
    app: web.Application,
    *,
    submitters: Callable[[], int | None],
    limits: Limits = Limits(),
) -> Reception:
    """Serve an application on a listening socket until the Reception is closed."""
    runner = web.AppRunner(app, handle_signals=False, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    reception = Reception(listening, runner, submitters=submitters, limits=limits)
    reception.start()
    return reception


def actor_of(request: web.Request) -> Actor:
    """Who sends a request, as settled when the connection was accepted."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    return connection.actor

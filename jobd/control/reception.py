"""Takes connections on the control socket: who is let in, how many, and which go; what they ask is aiohttp's."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from jobd.control import problems
from jobd.control.connections import Connection, Limits
from jobd.control.listen import Listening
from jobd.control.peers import Names, executable, identify
from jobd.control.shapes import encode
from jobd.core.intents import Actor
from jobd.core.roles import Roles, role_of

USUAL = Limits()
_ACCEPTS_AT_ONCE = 64
_SWEEP_SECONDS = 1.0
_OUT_OF_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Reception:
    """Accepts, identifies and counts the connections of a listening socket, and drops those that are too slow."""

    def __init__(
        self,
        listening: Listening,
        runner: web.AppRunner,
        *,
        roles: Callable[[], Roles],
        limits: Limits = USUAL,
    ) -> None:
        self._listening = listening
        self._runner = runner
        self._roles = roles
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
        actor = Actor(
            uid=who.uid,
            gid=who.gid,
            pid=who.pid,
            user=self._names.of(who.uid),
            executable=executable(who.pid),
            role=role_of(who.uid, who.groups | {who.gid}, self._roles(), os.geteuid()),
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
        idle = [c for c in self._open if c.actor.uid == uid and not c.busy]
        if not idle:
            return False
        # Not just any: one that asks again and again would lose a question that is on its way.
        silent = min(idle, key=lambda c: (c.request_since is not None, c.waiting_since))
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
    roles: Callable[[], Roles],
    limits: Limits = USUAL,
) -> Reception:
    """Serve an application on a listening socket until the Reception is closed.

    `roles`: who holds which role as a connection is made, beside root and the user jobd runs as, who administer.
    """
    runner = web.AppRunner(app, handle_signals=False, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    reception = Reception(listening, runner, roles=roles, limits=limits)
    reception.start()
    return reception

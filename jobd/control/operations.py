"""Operations on the daemon as a whole over HTTP: a backup of its database, and its end."""

from __future__ import annotations

import asyncio
import os

from aiohttp import web

from jobd.control import bodies
from jobd.control.authorise import Deed
from jobd.control.connections import actor_of
from jobd.control.routes import DESK, Route, answer, check_query
from jobd.core.intents import Noted

_PIECE = 256 * 1024


async def backup(request: web.Request) -> web.StreamResponse:
    """A sound copy of the database, as the bytes of a file: whoever asks writes it where they may."""
    check_query(request, ())
    desk = request.app[DESK]
    await bodies.optional_object(request, frozenset())
    async with desk.backup() as descriptor:
        size = os.fstat(descriptor).st_size
        await desk.ask(Noted(actor_of(request), "backup", "database", f"{size} bytes"))
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.sqlite3"})
        response.content_length = size
        await response.prepare(request)
        for at in range(0, size, _PIECE):
            await response.write(await asyncio.to_thread(os.pread, descriptor, _PIECE, at))
        await response.write_eof()
        return response


async def drain(request: web.Request) -> web.Response:
    """Start nothing more, let what runs end, and end: what SIGTERM asks for."""
    check_query(request, ())
    desk = request.app[DESK]
    await bodies.optional_object(request, frozenset())
    running = sum(view.run is not None for view in desk.overview().workers)
    await desk.ask(Noted(actor_of(request), "drain", "jobd"))
    desk.drain()
    return answer({"draining": True, "running": running}, 202)


ROUTES = (
    Route("POST", "/v1/backup", backup, "A copy of the database", Deed.BACK_UP, answers="file"),
    Route("POST", "/v1/drain", drain, "Let what runs end, and end", Deed.DRAIN),
)

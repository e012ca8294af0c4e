"""Queues over HTTP: their limits and what waits and runs in them."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from jobd.control import shapes
from jobd.control.routes import DESK, Route, answer, check_query, name
from jobd.core.errors import NotFound


async def listing(request: web.Request) -> web.Response:
    check_query(request, ())
    desk, now = request.app[DESK], datetime.now(UTC)
    return answer(
        {"items": shapes.queues(desk.queue_limits(), desk.reads.queues(now), desk.reads.paused_queues(), now)}
    )


async def show(request: web.Request) -> web.Response:
    check_query(request, ())
    desk, now, wanted = request.app[DESK], datetime.now(UTC), name(request, "queue")
    limits, figures = desk.queue_limits().get(wanted), desk.reads.queues(now).get(wanted)
    if limits is None and figures is None:
        raise NotFound(f'there is no queue "{wanted}": it is not declared and holds no runs')
    return answer(shapes.queue(wanted, limits, figures, desk.reads.paused_queues().get(wanted), now))


ROUTES = (
    Route("GET", "/v1/queues", listing, "List queues", answers="list"),
    Route("GET", "/v1/queues/{name}", show, "One queue"),
)

"""Queues over HTTP: their limits, what waits and runs in them, and limits that are set while jobd runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from jobd.control import bodies, shapes
from jobd.control.authorise import Deed, require
from jobd.control.connections import actor_of
from jobd.control.ports import Desk
from jobd.control.routes import DESK, Route, answer, check_query, name
from jobd.core.errors import Invalid, NotFound
from jobd.core.intents import SetQueue
from jobd.core.names import closest
from jobd.core.queues import DECLARED, KEYS, Change, setting


async def listing(request: web.Request) -> web.Response:
    check_query(request, ())
    desk, now = request.app[DESK], datetime.now(UTC)
    return answer(
        {"items": shapes.queues(desk.queue_limits(), desk.reads.queues(now), desk.reads.paused_queues(), now)}
    )


async def show(request: web.Request) -> web.Response:
    check_query(request, ())
    return answer(_shown(request.app[DESK], find(request)))


async def change(request: web.Request) -> web.Response:
    """Set limits of a queue in place of jobd.yaml's, or take back what was set; it holds at once and over restarts."""
    check_query(request, ())
    desk, who = request.app[DESK], actor_of(request)
    require(who, Deed.SET_QUEUE)
    queue = find(request)
    wanted = _change(await bodies.optional_object(request, frozenset(KEYS)))
    await desk.ask(SetQueue(who, queue, wanted))
    return answer(_shown(desk, queue))


def find(request: web.Request) -> str:
    """The queue that the path names. Raises NotFound where nothing is known of it."""
    desk, queue = request.app[DESK], name(request, "queue")
    limits = desk.queue_limits()
    if queue not in limits and queue not in desk.reads.queues(datetime.now(UTC)):
        near = closest(queue, limits)
        hint = f' (did you mean "{near}"?)' if near else ""
        raise NotFound(f'there is no queue "{queue}": it is not declared and holds no runs{hint}')
    return queue


def _shown(desk: Desk, queue: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    limits, figures = desk.queue_limits().get(queue), desk.reads.queues(now).get(queue)
    return shapes.queue(queue, limits, figures, desk.reads.paused_queues().get(queue), now)


def _change(asked: Mapping[str, Any]) -> Change:
    """What a body asks for. Raises Invalid with everything that is wrong with it."""
    if not asked:
        raise Invalid(f"nothing is to be changed: give one of {', '.join(KEYS)} (null: as jobd.yaml has it)")
    settings, reset, wrong = {}, [], []
    for key, value in asked.items():
        if value in (None, DECLARED):
            reset.append(key)
            continue
        try:
            settings[key] = setting(key, value)
        except ValueError as error:
            wrong.append((f"/{key}", str(error)))
    if wrong:
        raise Invalid(f"{wrong[0][0]} {wrong[0][1]}", wrong)
    return Change(settings, tuple(reset))


ROUTES = (
    Route("GET", "/v1/queues", listing, "List queues", answers="list"),
    Route("GET", "/v1/queues/{name}", show, "One queue"),
    Route("PATCH", "/v1/queues/{name}", change, "Change limits of a queue while jobd runs"),
)

"""Channels over HTTP: which there are, and a message through one that is a test."""

from __future__ import annotations

from aiohttp import web

from jobd.control import bodies
from jobd.control.authorise import Deed
from jobd.control.connections import actor_of
from jobd.control.routes import DESK, Route, answer, check_query, name
from jobd.core.intents import TestChannel


async def listed(request: web.Request) -> web.Response:
    """The channels of jobd.yaml by name: of which kind each is, and the job whose runs carry its messages."""
    check_query(request, ())
    found = request.app[DESK].channels()
    return answer({"items": [{"name": one, "kind": kind, "job": job} for one, kind, job in found]})


async def test(request: web.Request) -> web.Response:
    """Send a message through a channel; answered with the run that carries it, whose end shows whether it arrived."""
    check_query(request, ())
    who, channel = actor_of(request), name(request, "channel")
    await bodies.optional_object(request, frozenset())
    accepted = await request.app[DESK].ask(TestChannel(who, channel))
    return answer({"id": accepted.id, "state": accepted.state}, 201)


ROUTES = (
    Route("GET", "/v1/channels", listed, "The channels of notifications", answers="list"),
    Route("POST", "/v1/channels/{name}/test", test, "Send a test through a channel", Deed.TEST_CHANNEL),
)

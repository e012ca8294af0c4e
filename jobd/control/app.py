"""Puts the API together: the table of routes, and the one place every request passes through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from jobd.control import (
    audit,
    channels,
    dead,
    events,
    holds,
    jobs,
    kill,
    openapi,
    operations,
    output,
    problems,
    queues,
    runs,
    slots,
    stats,
    system,
    tree,
    why,
    workload,
)
from jobd.control.authorise import Deed, require
from jobd.control.bodies import BATCH_LIMIT
from jobd.control.connections import Connection
from jobd.control.listing import LISTING, Listing
from jobd.control.ports import Desk
from jobd.control.routes import DESK, Handler, Route, answer
from jobd.control.tempo import Tempo
from jobd.core.errors import JobdError, NotPermitted

_HEADERS_LIMIT = 16 * 1024
_LONGEST_PATH = 200
"""Characters of a path that the audit trail keeps."""


def build(desk: Desk) -> web.Application:
    """The application that `reception.receive` serves; it asks `desk` for everything it cannot answer itself."""
    app = web.Application(middlewares=[_pass], client_max_size=BATCH_LIMIT)
    app[DESK], app[LISTING], app[runs.TEMPO] = desk, Listing(), Tempo()
    for route in routes():
        app.router.add_route(route.method, route.path, _guarded(route), expect_handler=_expect)
    return app


def routes() -> tuple[Route, ...]:
    """Everything the API has, in the order of its description."""
    nouns = (
        system,
        jobs,
        slots,
        runs,
        kill,
        tree,
        output,
        queues,
        holds,
        dead,
        channels,
        why,
        workload,
        stats,
        events,
        audit,
        operations,
    )
    served = tuple(route for noun in nouns for route in noun.ROUTES)

    async def describe(_request: web.Request) -> web.StreamResponse:
        return answer(openapi.document(served))  # seldom asked for, and too large to keep

    return (Route("GET", "/v1/openapi.json", describe, "This description"), *served)


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Bid a client go on that asks before it sends its body (curl does, from 1 MiB)."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        return problems.response(417, "expectation", "the Expect header is not one that jobd can meet")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # What was written here is not part of the answer, which is counted from nothing.
    request.writer.output_size = 0
    return None


def _guarded(route: Route) -> Handler:
    """The handler behind the permission that its route names."""
    handler, deed = route.handler, route.deed

    async def guarded(request: web.Request) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        try:
            require(connection.actor, Deed.VIEW)
            if deed is not Deed.VIEW:
                require(connection.actor, deed)
            return await handler(request)
        except NotPermitted as refusal:
            request.app[DESK].denied(connection.actor, f"{request.method} {request.path[:_LONGEST_PATH]}", str(refusal))
            raise

    return guarded


@web.middleware
async def _pass(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Bound the headers, mark whose turn it is on the connection, and make problems of refusals."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    connection.begin()
    try:
        if sum(len(key) + len(value) + 4 for key, value in request.raw_headers) > _HEADERS_LIMIT:
            return _headers_too_large()
        return await handler(request)
    except JobdError as error:
        return problems.of(error)
    except web.HTTPException as error:
        return problems.of_http(error)
    finally:
        connection.end()


def _headers_too_large() -> web.Response:
    answer = problems.response(431, "headers-too-large", f"the headers are over {_HEADERS_LIMIT // 1024} KiB")
    answer.force_close()
    return answer

"""The part of the API that this version does not serve: refused by name, so that nobody takes silence for success."""

from __future__ import annotations

from aiohttp import web

from jobd.control.problems import NotBuilt
from jobd.control.routes import Route

_PATHS = (("PATCH", "/v1/queues/{name}", "changing limits of queues at run time (jobd.yaml sets them)"),)


def _refusal(method: str, path: str, what: str) -> Route:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        raise NotBuilt(f"{what} is not in this version of jobd")

    return Route(method, path, refuse, f"Not in this version: {what}", answers="problem")


ROUTES = tuple(_refusal(*one) for one in _PATHS)

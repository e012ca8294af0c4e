"""`why` over HTTP: the reason a job did not run, or a run has not yet."""

from __future__ import annotations

from aiohttp import web

from jobd.control.routes import DESK, Route, answer, check_query, name, run_id
from jobd.core.errors import Invalid

_LONGEST = 64
"""Characters of an instant."""


async def of_job(request: web.Request) -> web.Response:
    """Why a job is not running now; with `at`, what became of its slot there."""
    at = check_query(request, ("at",)).get("at")
    if at is not None and len(at) > _LONGEST:
        raise Invalid("at is too long to be an instant", [("at", "is too long")])
    return answer(dict(request.app[DESK].why_job(name(request, "job"), at)))


async def of_run(request: web.Request) -> web.Response:
    check_query(request, ())
    return answer(dict(request.app[DESK].why_run(run_id(request))))


ROUTES = (
    Route("GET", "/v1/jobs/{name}/why", of_job, "Why a job did not run", query=("at",)),
    Route("GET", "/v1/runs/{id}/why", of_run, "Why a run waits, or how it ended"),
)

"""Jobs over HTTP: what is defined, and how each last went."""

from __future__ import annotations

from aiohttp import web

from jobd.control import shapes
from jobd.control.authorise import Deed, permits
from jobd.control.connections import actor_of
from jobd.control.listing import LISTING, with_jobs
from jobd.control.ports import DefinedJob, Desk
from jobd.control.routes import DESK, Route, answer, check_query, name
from jobd.core.errors import NotFound
from jobd.core.names import closest


async def listing(request: web.Request) -> web.Response:
    check_query(request, ())
    return with_jobs({}, "items", await request.app[LISTING].jobs(request.app[DESK]))


async def show(request: web.Request) -> web.Response:
    """One job; the definition in full, which can hold secrets in its environment, for those who may see it."""
    check_query(request, ())
    desk = request.app[DESK]
    defined = find(desk, name(request, "job"))
    shown = shapes.job(defined, desk.reads.standing(defined.job.name))
    if permits(actor_of(request), Deed.SEE_DEFINITION, job_owner=defined.job.owner):
        shown |= shapes.definition(defined)
    return answer(shown)


def find(desk: Desk, wanted: str) -> DefinedJob:
    """The job in force. Raises NotFound with the nearest name."""
    jobs = desk.jobs()
    defined = jobs.get(wanted)
    if defined is None:
        near = closest(wanted, jobs)
        raise NotFound(f'there is no job "{wanted}"' + (f' (did you mean "{near}"?)' if near else ""))
    return defined


def owner_of(desk: Desk, job: str) -> str | None:
    """The user who has an operator's rights on a job and its runs, where its definition names one."""
    defined = desk.jobs().get(job)
    return None if defined is None else defined.job.owner


ROUTES = (
    Route("GET", "/v1/jobs", listing, "List jobs", answers="list"),
    Route("GET", "/v1/jobs/{name}", show, "One job, with its effective definition for administrators"),
)

"""Jobs and their slots over HTTP: what is defined, when it is due, what became of it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web

from jobd.control import shapes
from jobd.control.authorise import Deed, permits
from jobd.control.connections import actor_of
from jobd.control.fields import instant
from jobd.control.ports import DefinedJob, Desk
from jobd.control.routes import DESK, Route, answer, check_query, name, number
from jobd.core.errors import Invalid, NotFound
from jobd.core.names import closest, is_name

_SLOTS = ("job", "from", "to", "limit", "cursor")
_NEXT = ("n", "from")


async def listing(request: web.Request) -> web.Response:
    check_query(request, ())
    desk = request.app[DESK]
    standings = desk.reads.standings()
    jobs = sorted(desk.jobs().items())
    return answer({"items": [shapes.job(defined, standings.get(key)) for key, defined in jobs]})


async def show(request: web.Request) -> web.Response:
    """One job; the definition in full, which can hold secrets in its environment, for those who may see it."""
    check_query(request, ())
    desk = request.app[DESK]
    defined = find(desk, name(request, "job"))
    shown = shapes.job(defined, desk.reads.standings().get(defined.job.name))
    if permits(actor_of(request), Deed.SEE_DEFINITION):
        shown |= shapes.definition(defined)
    return answer(shown)


async def coming(request: web.Request) -> web.Response:
    query, desk = check_query(request, _NEXT), request.app[DESK]
    defined = find(desk, name(request, "job"))
    count, start = number(query, "n", 5, 1, 1000), _instant(query.get("from"), "from")
    due = desk.upcoming(defined.job.name, count, start)
    return answer({"items": shapes.upcoming(defined.job.name, due, _zone(defined.timezone))})


async def slots(request: web.Request) -> web.Response:
    query, desk = check_query(request, _SLOTS), request.app[DESK]
    job = query.get("job")
    if job is not None and not is_name(job):
        raise Invalid(f"job={job!r} is not a name")
    start, end = _instant(query.get("from"), "from"), _instant(query.get("to"), "to")
    found, cursor = desk.reads.slots(job, start, end, number(query, "limit", 50, 1, 1000), query.get("cursor"))
    return answer({"items": [shapes.slot(one) for one in found], "next_cursor": cursor})


def find(desk: Desk, wanted: str) -> DefinedJob:
    """The job in force. Raises NotFound with the nearest name."""
    jobs = desk.jobs()
    defined = jobs.get(wanted)
    if defined is None:
        near = closest(wanted, jobs)
        raise NotFound(f'there is no job "{wanted}"' + (f' (did you mean "{near}"?)' if near else ""))
    return defined


def _instant(text: str | None, key: str) -> datetime | None:
    try:
        return None if text is None else instant(text)
    except ValueError as error:
        raise Invalid(f"{key}={text!r} {error}") from None


def _zone(key: str) -> ZoneInfo | None:
    """The zone of a job; the host's own where its name is not an IANA one."""
    try:
        return ZoneInfo(key)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


ROUTES = (
    Route("GET", "/v1/jobs", listing, "List jobs", answers="list"),
    Route("GET", "/v1/jobs/{name}", show, "One job, with its effective definition for administrators"),
    Route("GET", "/v1/jobs/{name}/next", coming, "The coming slots of a job", query=_NEXT, answers="list"),
    Route("GET", "/v1/slots", slots, "What became of every due slot", query=_SLOTS, answers="list"),
)

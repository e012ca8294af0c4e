"""Slots over HTTP: when jobs are going to be due, and what became of every instant at which they were."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web

from jobd.control import shapes
from jobd.control.fields import instant
from jobd.control.jobs import find
from jobd.control.routes import DESK, Route, answer, check_query, name, number
from jobd.core.errors import Invalid
from jobd.core.names import is_name
from jobd.core.states import Disposition

_SLOTS = ("job", "from", "to", "disposition", "limit", "cursor")
_NEXT = ("n", "from", "to")
_MOST = 1000


async def coming(request: web.Request) -> web.Response:
    """The coming slots of the job that the path names, or of all jobs together."""
    query, desk = check_query(request, _NEXT), request.app[DESK]
    job = find(desk, name(request, "job")).job.name if "name" in request.match_info else None
    (start, end), count = _span(query), number(query, "n", 5, 1, _MOST)
    found = await desk.coming(job, count, start, end)
    return answer({"items": [shapes.coming(one, _zone(one.timezone)) for one in found]})


async def listing(request: web.Request) -> web.Response:
    query, desk = check_query(request, _SLOTS), request.app[DESK]
    job = query.get("job")
    if job is not None and not is_name(job):
        raise Invalid(f"job={job!r} is not a name")
    (start, end), limit = _span(query), number(query, "limit", 50, 1, _MOST)
    try:
        found, cursor = desk.reads.slots(
            job, start, end, limit, query.get("cursor"), _disposition(query.get("disposition"))
        )
    except (ValueError, OverflowError):
        raise Invalid("cursor is not one that an earlier page gave") from None
    return answer({"items": [shapes.slot(one) for one in found], "next_cursor": cursor})


def _span(query: Mapping[str, str]) -> tuple[datetime | None, datetime | None]:
    """From when to when is asked for. Raises Invalid for a span that ends before it begins."""
    start, end = span_end(query, "from"), span_end(query, "to")
    if start is not None and end is not None and end < start:
        raise Invalid("to lies before from")
    return start, end


def span_end(query: Mapping[str, str], key: str) -> datetime | None:
    """An instant of the query, None where it is absent. Raises Invalid for what is none."""
    text = query.get(key)
    try:
        return None if text is None else instant(text)
    except ValueError as error:
        raise Invalid(f"{key}={text!r} {error}") from None


def _disposition(text: str | None) -> Disposition | None:
    if text is None:
        return None
    try:
        return Disposition(text)
    except ValueError:
        raise Invalid(f"disposition={text[:40]!r} is none of {', '.join(Disposition)}") from None


@lru_cache(maxsize=1024)
def _zone(key: str) -> ZoneInfo | None:
    """The zone of a job; the host's own where its name is not an IANA one."""
    try:
        return ZoneInfo(key)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


ROUTES = (
    Route("GET", "/v1/next", coming, "The coming slots of all jobs", query=_NEXT, answers="list"),
    Route("GET", "/v1/jobs/{name}/next", coming, "The coming slots of a job", query=_NEXT, answers="list"),
    Route("GET", "/v1/slots", listing, "What became of every due slot", query=_SLOTS, answers="list"),
)

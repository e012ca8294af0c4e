"""Dead letters over HTTP: which runs failed for good, trying them again, putting them away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from jobd.control import bodies, shapes
from jobd.control.authorise import Deed, permits, require
from jobd.control.connections import actor_of
from jobd.control.jobs import owner_of
from jobd.control.ports import Desk
from jobd.control.routes import DESK, Route, answer, check_query, flag, number
from jobd.core.errors import Invalid, TooLarge
from jobd.core.intents import Actor, DropDead, Handled, RetryDead
from jobd.core.names import is_name
from jobd.core.records import DeadFilter

_LIST = ("job", "queue", "limit", "cursor")
_DROP = ("runs", "job", "queue", "all")
_RETRY = frozenset({"runs", "filter", "payload", "dry_run"})
_MOST_NAMED = 1000


async def listing(request: web.Request) -> web.Response:
    """Open dead letters, the latest run first."""
    who, query = actor_of(request), check_query(request, _LIST)
    which = replace(
        _filter(query),
        before=number(query, "cursor", 0, 1, 2**63 - 1) or None,
        limit=number(query, "limit", 50, 1, 1000),
    )
    desk = request.app[DESK]
    found, cursor = desk.reads.dead_letters(which)
    items = [
        shapes.dead_letter(one, contents=permits(who, Deed.SEE_CONTENTS, one.owner, job_owner=owner_of(desk, one.job)))
        for one in found
    ]
    return answer({"items": items, "next_cursor": None if cursor is None else str(cursor)})


async def stats(request: web.Request) -> web.Response:
    check_query(request, ())
    return answer({"items": [shapes.dead_figures(one) for one in request.app[DESK].reads.dead_figures()]})


async def retry(request: web.Request) -> web.Response:
    """Queue the runs of dead letters again; with `dry_run` only say which these would be."""
    check_query(request, ())
    desk, who = request.app[DESK], actor_of(request)
    asked = await bodies.optional_object(request, _RETRY)
    which = _own(desk, who, _asked(asked))
    if type(asked.get("dry_run", False)) is not bool:
        raise Invalid("dry_run must be true or false", [("/dry_run", "must be true or false")])
    if asked.get("dry_run"):
        found, more = desk.reads.dead_letters(replace(which, limit=_MOST_NAMED))
        return answer(
            _handled(Handled(tuple(one.run for one in found), is_partial=more is not None)) | {"dry_run": True}
        )
    payload = bodies.payload_of(asked, desk.policy.max_payload_bytes)
    if "payload" in asked:
        found, _ = desk.reads.dead_letters(replace(which, limit=_MOST_NAMED))
        bodies.check_schema(desk, {one.job for one in found}, payload)
    intent = RetryDead(who, which, payload=payload, replaces_payload="payload" in asked)
    return answer(_handled(await desk.ask(intent)))


async def drop(request: web.Request) -> web.Response:
    """Put dead letters away; their runs stay in the history as failed."""
    query, who = check_query(request, _DROP), actor_of(request)
    await bodies.optional_object(request, frozenset())
    which = replace(_filter(query), runs=_listed(query.get("runs", "")))
    if not (which.runs or which.job or which.queue or flag(query, "all")):
        raise Invalid("says nothing to drop: give runs, job or queue, or all=1 for every dead letter")
    return answer(_handled(await request.app[DESK].ask(DropDead(who, _own(request.app[DESK], who, which)))))


def _own(desk: Desk, who: Actor, which: DeadFilter) -> DeadFilter:
    """What of this somebody may act on: operators all, the owner of the job that is named all of that, submitters
    what they submitted themselves. Raises NotPermitted for others.
    """
    if permits(who, Deed.ACT_ON_RUN, job_owner=which.job and owner_of(desk, which.job)):
        return which
    require(who, Deed.ACT_ON_RUN, who.user)
    return replace(which, owner=who.user)


def _asked(asked: Mapping[str, Any]) -> DeadFilter:
    """The filter of a body: `runs`, a list of ids, or `filter`, an object that may be empty for all of them."""
    named, narrowed = asked.get("runs"), asked.get("filter")
    if (named is None) == (narrowed is None):
        raise Invalid('give runs (a list of ids) or filter (like {"queue": "email"}, {} for all), one of them')
    if named is None:
        if type(narrowed) is not dict or not all(type(value) is str for value in narrowed.values()):
            raise Invalid("filter must be an object of texts", [("/filter", 'must be like {"job": "NAME"}')])
        unknown = sorted(narrowed.keys() - {"job", "queue"})
        if unknown:
            raise Invalid("filter knows job and queue", [(bodies.pointer(["filter", unknown[0]]), "is not known here")])
        return _filter(narrowed)
    if type(named) is not list or not named or not all(type(run) is int and run > 0 for run in named):
        raise Invalid("runs must be a list of ids of runs", [("/runs", "must be like [12, 13]")])
    return DeadFilter(runs=_bounded(named))


def _listed(text: str) -> tuple[int, ...]:
    words = [word for word in text.split(",") if word]
    if not all(word.isascii() and word.isdigit() and len(word) <= 18 for word in words):
        raise Invalid(f"runs={text[:40]!r} must be ids with commas between them")
    return _bounded([int(word) for word in words])


def _bounded(runs: list[int]) -> tuple[int, ...]:
    if len(runs) > _MOST_NAMED:
        raise TooLarge(f"{len(runs)} runs in one request (at most {_MOST_NAMED}); send several, or a filter")
    return tuple(runs)


def _filter(query: Mapping[str, str]) -> DeadFilter:
    for key in ("job", "queue"):
        if key in query and not is_name(query[key]):
            raise Invalid(f"{key}={query[key][:40]!r} is not a name")
    return DeadFilter(job=query.get("job"), queue=query.get("queue"))


def _handled(handled: Handled) -> dict[str, Any]:
    told = {"runs": list(handled.runs), "is_partial": handled.is_partial}
    return told | {"held": list(handled.held)} if handled.held else told


ROUTES = (
    Route("GET", "/v1/dead-letters", listing, "List dead letters, the latest run first", query=_LIST, answers="list"),
    Route("GET", "/v1/dead-letters/stats", stats, "How many dead letters wait, by queue and job", answers="list"),
    Route("POST", "/v1/dead-letters/retry", retry, "Queue the runs of dead letters again"),
    Route("DELETE", "/v1/dead-letters", drop, "Put dead letters away", query=_DROP),
)

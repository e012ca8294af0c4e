"""The stream of events, as server-sent events: what happened lately, and what happens as it happens.

A reader that is too slow is told of the gap when the events it wants are no longer kept, and one that takes nothing at
all is dropped like every stalled client (`reception`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from jobd.control import happened
from jobd.control.authorise import Deed, permits
from jobd.control.connections import actor_of
from jobd.control.ports import Desk, Recent
from jobd.control.routes import DESK, Route, check_query, flag, number
from jobd.control.runs import sees_contents
from jobd.control.shapes import encode
from jobd.core.errors import Invalid
from jobd.core.events import Event
from jobd.core.intents import Actor
from jobd.core.names import is_name

_QUERY = ("since", "follow", "job", "run", "queue", "kind")
_AT_ONCE = 256
_SILENCE_SECONDS = 15.0
_HIGHEST = 2**62


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which events a reader asked for; None is any."""

    job: str | None
    queue: str | None
    run: int | None
    kinds: frozenset[str] | None

    def takes(self, event: Event) -> bool:
        return (
            type(event) in happened.KINDS
            and (self.job is None or happened.job_of(event) == self.job)
            and (self.queue is None or happened.queue_of(event) == self.queue)
            and (self.run is None or happened.run_of(event) == self.run)
            and (self.kinds is None or happened.KINDS[type(event)] in self.kinds)
        )


async def stream(request: web.Request) -> web.StreamResponse:
    """Events behind `since` (or Last-Event-ID; without either from now on), until the client goes.

    With `follow=0` the answer ends with the newest event, and begins with the oldest that is kept.
    """
    query, desk, who = check_query(request, _QUERY), request.app[DESK], actor_of(request)
    wanted, follows = _wanted(query), "follow" not in query or flag(query, "follow")
    since = _since(request, query, desk.recent, follows=follows)
    answer = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    answer.content_type = "text/event-stream"
    answer.charset = "utf-8"
    await answer.prepare(request)
    await _send(answer, desk, wanted, who, since, follows=follows)
    return answer


async def _send(
    answer: web.StreamResponse, desk: Desk, wanted: _Wanted, who: Actor, since: int, *, follows: bool
) -> None:
    recent, sees = desk.recent, _sight(desk, who)
    # An id without data: whoever is cut off before the first event resumes here.
    await answer.write(b"id: %d\n\n" % since)
    while True:
        moved = recent.moved()
        if not recent.first - 1 <= since <= recent.last:
            told = happened.gap(since, recent.first)
            since = recent.first - 1
            await answer.write(_record(since, told["kind"], told))
        found = recent.after(since, _AT_ONCE)
        if found:
            since = found[-1][0]
            shown = [happened.event(n, one, contents=sees(one)) for n, one in found if wanted.takes(one)]
            await answer.write(b"".join(_record(one["id"], one["kind"], one) for one in shown))
            await asyncio.sleep(0)
        elif not follows:
            return
        elif not (await asyncio.wait({moved}, timeout=_SILENCE_SECONDS))[0]:
            # Tells a client that waits from one that is gone, and the client that jobd is there.
            await answer.write(b"id: %d\n\n" % since)


def _record(number: int, kind: str, data: Mapping[str, object]) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, kind.encode(), encode(data))


def _sight(desk: Desk, who: Actor) -> Callable[[Event], bool]:
    """Whether somebody may read the reason in an event: anybody's, or of a run of their own."""
    sees_all = permits(who, Deed.SEE_CONTENTS)

    def sees(event: Event) -> bool:
        run = happened.run_of(event)
        if sees_all or run is None or not happened.reason_of(event):
            return sees_all or run is None
        record = desk.reads.run(run)
        return record is not None and sees_contents(desk, who, record)

    return sees


def _since(request: web.Request, query: Mapping[str, str], recent: Recent, *, follows: bool) -> int:
    last = request.headers.get("Last-Event-ID")
    if last is not None:
        query = {"since": last}
    return number(query, "since", recent.last if follows else recent.first - 1, 0, _HIGHEST)


def _wanted(query: Mapping[str, str]) -> _Wanted:
    for key in ("job", "queue"):
        if key in query and not is_name(query[key]):
            raise Invalid(f"{key}={query[key]!r} is not a name")
    kinds = frozenset(word for word in query.get("kind", "").split(",") if word)
    if unknown := kinds - frozenset(happened.KINDS.values()):
        known = ", ".join(happened.KINDS.values())
        raise Invalid(f"kind={min(unknown)!r} is not known (known: {known})", [("kind", "is not known")])
    run = number(query, "run", 0, 1, 2**63 - 1)
    return _Wanted(query.get("job"), query.get("queue"), run or None, kinds or None)


ROUTES = (Route("GET", "/v1/events", stream, "What happens, as server-sent events", query=_QUERY, answers="events"),)

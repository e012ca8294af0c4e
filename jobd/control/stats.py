"""Rolling figures over HTTP: the runs of the last hours by job or by queue."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from jobd.control import shapes
from jobd.control.jobs import find
from jobd.control.ports import Desk
from jobd.control.routes import DESK, Route, answer, check_query, number
from jobd.control.runs import since
from jobd.core.errors import Invalid
from jobd.core.stats import By, Line, Spread, Statistics, spread

_QUERY = ("job", "queue", "since", "by", "limit")
_WINDOW = timedelta(hours=24)
_AT_ONCE = 1000
"""Runs that are read while nobody else has a turn."""
_MOST_RUNS = 100_000
"""The newest runs of a span; what is behind them is not looked at, and the answer says so."""


async def figures(request: web.Request) -> web.Response:
    """Counts, success rate, durations and waits of the runs that were accepted since an instant (24 hours ago)."""
    query, desk = check_query(request, _QUERY), request.app[DESK]
    now = datetime.now(UTC)
    start = since(query.get("since"), now) or now - _WINDOW
    job = find(desk, query["job"]).job.name if "job" in query else None
    limit = number(query, "limit", 1000, 1, 100_000)
    found = Statistics(_by(query.get("by", "job")))
    is_cut = await _read(desk, found, start, job, query.get("queue"))
    lines = found.busiest()[:limit]
    # Sorting what took how long takes its time, and nothing else may wait for it.
    total, *items = await asyncio.to_thread(lambda: [_line(*one) for one in [(None, found.total), *lines]])
    span = {"since": shapes.time(start), "until": shapes.time(now), "truncated": is_cut}
    return answer(span | {"total": total, "items": items})


def _by(text: str) -> By:
    match text:
        case "job" | "queue":
            return text
    raise Invalid("by must be job or queue", [("by", "must be job or queue")])


async def _read(desk: Desk, found: Statistics, start: datetime, job: str | None, queue: str | None) -> bool:
    """Take the runs of the span, newest first, in short turns; whether there are more than are looked at."""
    before: int | None = None
    for _ in range(_MOST_RUNS // _AT_ONCE):
        page, before = desk.reads.samples(job, start, before, _AT_ONCE)
        for one in page:
            if queue is None or one.queue == queue:
                found.take(one)
        if before is None:
            return False
        await asyncio.sleep(0)
    return True


def _line(name: str | None, line: Line) -> dict[str, Any]:
    return {
        "name": name,
        "runs": line.runs,
        "states": {state.value: count for state, count in sorted(line.states.items())},
        "retried": line.retried,
        "success_rate": line.success_rate,
        "duration": _spread(spread(line.durations)),
        "wait": _spread(spread(line.waits)),
    }


def _spread(found: Spread | None) -> dict[str, float] | None:
    if found is None:
        return None
    parts = {f"p{part}": round(value, 6) for part, value in found.parts.items()}
    return {"mean": round(found.mean, 6), **parts, "max": round(found.longest, 6)}


ROUTES = (
    Route("GET", "/v1/stats", figures, "Counts, success rate, durations and waits by job or queue", query=_QUERY),
)

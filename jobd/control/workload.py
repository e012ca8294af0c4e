"""What a simulation goes by, over HTTP: when jobs are due, how long they take, how much may be under way at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from jobd.control import shapes
from jobd.control.jobs import find
from jobd.control.ports import DefinedJob
from jobd.control.routes import DESK, Route, answer, check_query, number
from jobd.core.forecast import usual

_QUERY = ("job", "limit", "cursor")


async def listing(request: web.Request) -> web.Response:
    """Jobs by name, page by page: their durations are looked up one by one."""
    query, desk = check_query(request, _QUERY), request.app[DESK]
    jobs: Mapping[str, DefinedJob] = desk.jobs()
    names = [find(desk, query["job"]).job.name] if "job" in query else sorted(jobs)
    limit, after = number(query, "limit", 200, 1, 500), query.get("cursor", "")
    left = [name for name in names if name > after]
    return answer(
        {
            "items": [_item(jobs[name], desk.reads.durations(name)) for name in left[:limit]],
            "next_cursor": left[limit - 1] if len(left) > limit else None,
            "queues": {name: limits.limits.max_running for name, limits in desk.queue_limits().items()},
            "workers_max": desk.overview().workers_max,
        }
    )


def _item(defined: DefinedJob, durations: list[float]) -> dict[str, Any]:
    job, lasts = defined.job, usual(durations)
    return {
        "job": job.name,
        "enabled": job.enabled,
        "schedule": asdict(job.schedule),
        "timezone": defined.timezone,
        "next_at": shapes.time(defined.next_at),
        "queue": job.queue,
        "priority": job.priority,
        "max_running": job.max_running,
        "running_limit": job.running_limit,
        "runs": len(durations),
        "median_seconds": lasts[0] if lasts else None,
        "p95_seconds": lasts[1] if lasts else None,
    }


ROUTES = (
    Route("GET", "/v1/workload", listing, "Schedules, limits and past durations of jobs", query=_QUERY, answers="list"),
)

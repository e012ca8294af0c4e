"""The daemon itself over HTTP: status, health, version, reload."""

from __future__ import annotations

from aiohttp import web

from jobd import __version__
from jobd.control import bodies, shapes
from jobd.control.authorise import Deed
from jobd.control.connections import actor_of
from jobd.control.listing import LISTING, with_jobs
from jobd.control.routes import DESK, Route, answer, check_query, flag, number
from jobd.core.errors import NotFound
from jobd.core.holds import EVERYTHING
from jobd.core.intents import Noted
from jobd.core.names import is_name

JOBS_SHOWN = 100
"""Jobs that the status lists where nobody says how many: with ten thousand of them it would be 6 MB."""
MOST_JOBS = 1_000_000


async def status(request: web.Request) -> web.Response:
    """The daemon, its jobs and its queues at a glance."""
    query = check_query(request, ("jobs",))
    desk = request.app[DESK]
    most = None if query.get("jobs") == "all" else number(query, "jobs", JOBS_SHOWN, 0, MOST_JOBS)
    jobs = await request.app[LISTING].first(desk, most)
    seen = desk.overview()
    shown = shapes.overview(seen)
    shown["job_counts"] = shapes.job_counts(desk.reads.job_counts(), len(desk.jobs()))
    held = desk.reads.paused_queues()
    shown["paused"] = shapes.pause(held.get(EVERYTHING))
    shown["queues"] = shapes.queues(desk.queue_limits(), desk.reads.queues(seen.now), held, seen.now)
    return with_jobs(shown, "jobs", jobs)


async def health(request: web.Request) -> web.Response:
    query = check_query(request, ("queue",))
    queue = query.get("queue")
    if queue is not None and not is_name(queue):
        raise NotFound(f"there is no queue {queue[:40]!r}")
    return answer(dict(request.app[DESK].health(queue)))


async def version(_request: web.Request) -> web.Response:
    return answer({"name": "jobd", "version": __version__, "api": "v1", "schema_version": shapes.SCHEMA_VERSION})


async def reload(request: web.Request) -> web.Response:
    """Read the settings and the definitions again and answer with what changed."""
    query = check_query(request, ("dry_run",))
    await bodies.optional_object(request, frozenset())
    desk, is_dry = request.app[DESK], flag(query, "dry_run")
    change = await desk.reload(dry_run=is_dry)
    if not is_dry:
        counts = (len(change.added), len(change.changed), len(change.removed), len(change.problems))
        detail = "{} added, {} changed, {} removed, {} problems".format(*counts)
        if change.settings:
            detail += f"; settings: {', '.join(change.settings)}"
        await desk.ask(Noted(actor_of(request), "reload", "definitions", detail))
    return answer(shapes.reloaded(change))


async def prune(request: web.Request) -> web.Response:
    """Forget now what retention says, and answer with what went."""
    check_query(request, ())
    await bodies.optional_object(request, frozenset())
    gone = await request.app[DESK].prune()
    detail = f"{gone.runs} runs, {gone.slots} slots, {gone.output_bytes} bytes of output"
    await request.app[DESK].ask(Noted(actor_of(request), "prune", "history", detail))
    return answer({"runs": gone.runs, "slots": gone.slots, "output_bytes": gone.output_bytes})


ROUTES = (
    Route("GET", "/v1/status", status, "The daemon at a glance, with jobs=N jobs or all", query=("jobs",)),
    Route("GET", "/v1/health", health, "The health report", query=("queue",)),
    Route("GET", "/v1/version", version, "The version of daemon and API"),
    Route("POST", "/v1/prune", prune, "Forget old history now", Deed.PRUNE),
    Route("POST", "/v1/reload", reload, "Read the definitions again", Deed.RELOAD, query=("dry_run",)),
)

"""Keeping jobs and queues back over HTTP: pausing and resuming them, skipping slots, ending every run of a job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from aiohttp import web

from jobd.control import bodies, queues, shapes
from jobd.control.authorise import Deed, require
from jobd.control.connections import actor_of
from jobd.control.fields import instant
from jobd.control.jobs import find
from jobd.control.ports import Desk
from jobd.control.routes import DESK, Route, answer, check_query, name
from jobd.core.errors import Invalid
from jobd.core.holds import EVERYTHING
from jobd.core.intents import Actor, CancelJob, Pause, Resume, SkipNext
from jobd.core.spans import seconds

_LONGEST_NOTE = 500


async def pause_job(request: web.Request) -> web.Response:
    """Let nothing of a job start, until somebody resumes it or until an instant."""
    desk, who = request.app[DESK], actor_of(request)
    job = _held_job(request, desk, who)
    return await _pause(request, who, "job", job)


async def resume_job(request: web.Request) -> web.Response:
    """End the pause of a job, and close its circuit; one that is not defined any more may have left runs that wait."""
    who, job = _known_job(request)
    return await _resume(request, who, "job", job)


async def pause_queue(request: web.Request) -> web.Response:
    who, queue = _queue(request)
    return await _pause(request, who, "queue", queue)


async def resume_queue(request: web.Request) -> web.Response:
    who, queue = _queue(request)
    return await _resume(request, who, "queue", queue)


async def pause_everything(request: web.Request) -> web.Response:
    """Let nothing start at all: no queue, and no slot of any job."""
    require(actor_of(request), Deed.HOLD_QUEUE)
    return await _pause(request, actor_of(request), "queue", EVERYTHING)


async def resume_everything(request: web.Request) -> web.Response:
    """End that; jobs and queues that are paused for themselves stay so."""
    require(actor_of(request), Deed.HOLD_QUEUE)
    return await _resume(request, actor_of(request), "queue", EVERYTHING)


async def skip_next(request: web.Request) -> web.Response:
    """Skip the next slot of a job, or with `undo` take back what is to be skipped."""
    check_query(request, ())
    desk, who = request.app[DESK], actor_of(request)
    job = _held_job(request, desk, who)
    asked = await bodies.optional_object(request, frozenset({"undo"}))
    if type(asked.get("undo", False)) is not bool:
        raise Invalid("undo must be true or false", [("/undo", "must be true or false")])
    slots = await desk.ask(SkipNext(who, job, undo=asked.get("undo", False)))
    return answer({"job": job, "slots": [shapes.time(slot) for slot in slots]})


async def cancel_job(request: web.Request) -> web.Response:
    """End runs of a job that wait or run, defined any more or not; `is_partial` says to ask again."""
    check_query(request, ())
    who, job = _known_job(request)
    await bodies.optional_object(request, frozenset())
    handled = await request.app[DESK].ask(CancelJob(who, job))
    return answer({"job": job, "runs": list(handled.runs), "is_partial": handled.is_partial})


def _held_job(request: web.Request, desk: Desk, who: Actor) -> str:
    """The job that the path names, for somebody who may keep it back. Raises NotFound, NotPermitted."""
    job = find(desk, name(request, "job")).job
    require(who, Deed.HOLD_JOB, job_owner=job.owner)
    return job.name


def _known_job(request: web.Request) -> tuple[Actor, str]:
    """The job that the path names, defined or not: then it has no owner any more. Raises NotPermitted."""
    who, job = actor_of(request), name(request, "job")
    defined = request.app[DESK].jobs().get(job)
    require(who, Deed.HOLD_JOB, job_owner=defined.job.owner if defined else None)
    return who, job


def _queue(request: web.Request) -> tuple[Actor, str]:
    """The queue that the path names, for somebody who may keep it back. Raises NotFound, NotPermitted."""
    who = actor_of(request)
    require(who, Deed.HOLD_QUEUE)
    return who, queues.find(request)


async def _pause(request: web.Request, who: Actor, kind: Literal["job", "queue"], held: str) -> web.Response:
    check_query(request, ())
    asked = await bodies.optional_object(request, frozenset({"until", "note"}))
    until = _until(asked, datetime.now(UTC))
    await request.app[DESK].ask(Pause(who, kind, held, until, _note(asked)))
    return answer({kind: held, "paused": True, "until": shapes.time(until), "by": who.user})


async def _resume(request: web.Request, who: Actor, kind: Literal["job", "queue"], held: str) -> web.Response:
    check_query(request, ())
    await bodies.optional_object(request, frozenset())
    was_paused = await request.app[DESK].ask(Resume(who, kind, held))
    return answer({kind: held, "paused": False, "was_paused": was_paused})


def _until(asked: Mapping[str, Any], now: datetime) -> datetime | None:
    """An instant to come, as one or as a duration from now. Raises Invalid."""
    text = asked.get("until")
    if text is None:
        return None
    try:
        is_instant = type(text) is str and "T" in text.upper()
        at = instant(text) if is_instant else now + timedelta(seconds=seconds(text))
    except (ValueError, TypeError) as error:
        raise Invalid(f"until {error}; an instant, or a duration like 2h", [("/until", str(error))]) from None
    if at <= now:
        raise Invalid("until has passed already", [("/until", "must lie ahead")])
    return at


def _note(asked: Mapping[str, Any]) -> str:
    note = asked.get("note") or ""
    if type(note) is not str or len(note) > _LONGEST_NOTE:
        raise Invalid(f"note must be a text of at most {_LONGEST_NOTE} characters", [("/note", "is no such text")])
    try:
        bodies.check_text(note)
    except bodies.Hazard as hazard:
        raise Invalid(f"note {hazard}", [("/note", str(hazard))]) from None
    return note


ROUTES = (
    Route("POST", "/v1/jobs/{name}/pause", pause_job, "Let nothing of a job start"),
    Route("POST", "/v1/jobs/{name}/resume", resume_job, "End the pause of a job, and close its circuit"),
    Route("POST", "/v1/jobs/{name}/skip-next", skip_next, "Skip the next slot of a job"),
    Route("POST", "/v1/jobs/{name}/cancel", cancel_job, "End every run of a job"),
    Route("POST", "/v1/queues/{name}/pause", pause_queue, "Let nothing of a queue start"),
    Route("POST", "/v1/queues/{name}/resume", resume_queue, "End the pause of a queue"),
    Route("POST", "/v1/pause", pause_everything, "Let nothing start at all"),
    Route("POST", "/v1/resume", resume_everything, "End the pause of everything"),
)

"""Runs over HTTP: submit, list, show, wait, cancel, retry."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from jobd.control import bodies, shapes
from jobd.control.authorise import Deed, permits, require
from jobd.control.connections import actor_of
from jobd.control.fields import instant
from jobd.control.jobs import owner_of
from jobd.control.ports import Desk
from jobd.control.requests import Intake, refuse
from jobd.control.routes import DESK, Route, answer, check_query, number, run_id
from jobd.control.tempo import Tempo, TooFast
from jobd.core.errors import Invalid, NotFound, TooLarge
from jobd.core.intents import Accepted, Actor, CancelRun, RetryRun, Submit
from jobd.core.model import RunRequest
from jobd.core.names import is_name
from jobd.core.records import RunFilter, RunRecord
from jobd.core.roles import Role
from jobd.core.spans import seconds
from jobd.core.states import RunState
from jobd.core.trace import Trace, heard

MOST_RUNS = 20_000
_TURN = 256
_MOST_BYTES_OF_A_CHARACTER = 4
_MOST_ERRORS = 100
_LIST = ("job", "state", "queue", "since", "limit", "cursor")
_LONGEST_WAIT_SECONDS = 24 * 3600.0
TEMPO: web.AppKey[Tempo] = web.AppKey("tempo", Tempo)


async def submit(request: web.Request) -> web.Response:
    """Accept one run, or every run of a batch, or none."""
    desk, who = request.app[DESK], actor_of(request)
    in_lines = request.content_type in ("application/x-ndjson", "application/ndjson", "application/jsonl")
    body = await bodies.read(request, limit=bodies.BATCH_LIMIT)
    in_array = not in_lines and body.lstrip()[:1] == b"["
    if not in_array and not in_lines and len(body) > bodies.ONE_LIMIT:
        raise bodies.too_large(bodies.ONE_LIMIT)
    policy = desk.policy
    queues = desk.queue_limits() if policy.strict_queues else {}
    intake = Intake(who, desk.jobs(), queues, policy, os.geteuid(), datetime.now(UTC), len(body), desk.payload_faults)
    intake.trace = _trace(request)
    text = bodies.decode(body)
    if not in_lines and not in_array:
        taken = intake.take(bodies.parse(text))
        if taken is None:
            raise refuse(intake.errors)
        _keep_tempo(request, who, 1)
        (accepted,) = await desk.ask(Submit(who, (taken,)))
        return _one(accepted)
    requests = await (_lines(text, intake) if in_lines else _array(text, intake))
    _keep_tempo(request, who, len(requests))
    return _many(await desk.ask(Submit(who, requests)))


def _keep_tempo(request: web.Request, who: Actor, count: int) -> None:
    """Raise TooFast where policy lets this user submit no more yet; administrators are not held to it."""
    rate = request.app[DESK].policy.max_submits_per_second
    if rate is None or who.role is Role.ADMIN:
        return
    wait = request.app[TEMPO].take(who.uid, count, rate, asyncio.get_running_loop().time())
    if wait:
        raise TooFast(f"{who.user} may submit {rate} runs a second; come back in {wait:.1f} s", wait)


def _trace(request: web.Request) -> Trace | None:
    """The trace that the headers tell of; two of a traceparent are none."""
    parents = request.headers.getall("traceparent", ())
    return heard(parents[0], ",".join(request.headers.getall("tracestate", ()))) if len(parents) == 1 else None


async def _array(text: str, intake: Intake) -> tuple[RunRequest, ...]:
    return await _take(bodies.parse(text), intake)


async def _lines(text: str, intake: Intake) -> tuple[RunRequest, ...]:
    """The submissions of JSON lines; a line's number in the errors counts from 0, blank lines left out."""
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    _check_count(len(lines))
    intake.size = max(map(len, lines)) * _MOST_BYTES_OF_A_CHARACTER
    items: list[Any] = []
    for number_, line in enumerate(lines):
        try:
            items.append(bodies.parse(line))
        except Invalid as error:
            raise type(error)(f"line {number_ + 1}: {error}", [(f"/{number_}", str(error))]) from None
        if number_ % _TURN == _TURN - 1:
            await asyncio.sleep(0)
    return await _take(items, intake)


async def _take(items: list[Any], intake: Intake) -> tuple[RunRequest, ...]:
    """Every submission checked; the loop gets its turn in between, and the first hundred problems are enough."""
    _check_count(len(items))
    taken: list[RunRequest | None] = []
    for index, item in enumerate(items):
        taken.append(intake.take(item, index))
        if len(intake.errors) >= _MOST_ERRORS:
            break
        if index % _TURN == _TURN - 1:
            await asyncio.sleep(0)
    if intake.errors:
        raise refuse(intake.errors)
    return tuple(one for one in taken if one is not None)


def _check_count(count: int) -> None:
    if count == 0:
        raise Invalid("the batch is empty: there is nothing to submit")
    if count > MOST_RUNS:
        raise TooLarge(f"{count} runs in one batch (at most {MOST_RUNS}); send several batches")


def _one(accepted: Accepted) -> web.Response:
    if accepted.duplicate:
        found = {"id": accepted.id, "state": accepted.state, "duplicate": True}
        return answer(found | {"replaced": True} if accepted.replaced else found)
    return answer({"id": accepted.id, "state": accepted.state}, 201)


def _many(accepted: list[Accepted]) -> web.Response:
    duplicates = [one.id for one in accepted if one.duplicate]
    made: dict[str, Any] = {"ids": [one.id for one in accepted]}
    replaced = [one.id for one in accepted if one.replaced]
    made |= {"duplicates": duplicates} if duplicates else {}
    return answer(made | {"replaced": replaced} if replaced else made, 201)


async def listing(request: web.Request) -> web.Response:
    """Runs, newest first."""
    who, query = actor_of(request), check_query(request, _LIST)
    found, cursor = request.app[DESK].reads.runs(_filter(query, datetime.now(UTC)))
    items = [_shown(request.app[DESK], record, who) for record in found]
    return answer({"items": items, "next_cursor": None if cursor is None else str(cursor)})


def _filter(query: Mapping[str, str], now: datetime) -> RunFilter:
    for key in ("job", "queue"):
        if key in query and not is_name(query[key]):
            raise Invalid(f"{key}={query[key]!r} is not a name")
    before = number(query, "cursor", 0, 1, 2**63 - 1)
    return RunFilter(
        job=query.get("job"),
        states=_states(query.get("state", "")),
        queue=query.get("queue"),
        since=since(query.get("since"), now),
        before=before or None,
        limit=number(query, "limit", 50, 1, 1000),
    )


def _states(text: str) -> tuple[RunState, ...]:
    try:
        return tuple(RunState(word) for word in text.split(",") if word)
    except ValueError as error:
        raise Invalid(f"{error} of a run (known: {', '.join(RunState)})") from None


def since(text: str | None, now: datetime) -> datetime | None:
    """An instant, or a duration that counts back from now."""
    if text is None:
        return None
    try:
        return instant(text) if "T" in text.upper() else now - timedelta(seconds=seconds(text))
    except ValueError as error:
        raise Invalid(f"since={text!r}: {error}; an instant or a duration like 2h") from None


async def show(request: web.Request) -> web.Response:
    check_query(request, ())
    desk, who = request.app[DESK], actor_of(request)
    record = find(desk, run_id(request))
    contents = sees_contents(desk, who, record)
    deaths = [shapes.death(one, contents=contents) for one in desk.reads.deaths(record.id)]
    return answer(_shown(desk, record, who) | {"dead_letters": deaths})


async def attempts(request: web.Request) -> web.Response:
    check_query(request, ())
    desk, record = request.app[DESK], find(request.app[DESK], run_id(request))
    contents = sees_contents(desk, actor_of(request), record)
    return answer({"items": [shapes.attempt(one, contents=contents) for one in desk.reads.attempts(record.id)]})


async def wait(request: web.Request) -> web.Response:
    """Answer once the run is final, or at the timeout with the run as it is."""
    query, desk, run = check_query(request, ("timeout",)), request.app[DESK], run_id(request)
    record = await until_final(desk, run, _timeout(query.get("timeout")))
    return answer(_shown(desk, record, actor_of(request)) | {"final": shapes.is_final(record)})


async def until_final(desk: Desk, run: int, patience: float) -> RunRecord:
    """The run when it is final, or as it is after `patience` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        # The future comes before the look: a run that ends in between has already woken it.
        ended = desk.finished(run)
        record = find(desk, run)
        left = deadline - loop.time()
        if shapes.is_final(record) or left <= 0:
            return record
        await asyncio.wait({ended}, timeout=left)


def _timeout(text: str | None) -> float:
    try:
        return min(seconds(text or "60"), _LONGEST_WAIT_SECONDS)
    except ValueError as error:
        raise Invalid(f"timeout={text!r}: {error}") from None


async def cancel(request: web.Request) -> web.Response:
    check_query(request, ())
    desk, who, record = acted_on(request)
    await bodies.optional_object(request, frozenset())
    state = await desk.ask(CancelRun(who, record.id))
    return answer({"id": record.id, "state": state})


async def retry(request: web.Request) -> web.Response:
    """Queue a failed or cancelled run again, with another payload if the body has one."""
    check_query(request, ())
    desk, who, record = acted_on(request)
    changes = await bodies.optional_object(request, frozenset({"payload"}))
    payload = bodies.payload_of(changes, desk.policy.max_payload_bytes)
    if "payload" in changes:
        bodies.check_schema(desk, {record.job}, payload)
    intent = RetryRun(who, record.id, payload=payload, replaces_payload="payload" in changes)
    return answer({"id": record.id, "state": await desk.ask(intent)})


def acted_on(request: web.Request) -> tuple[Desk, Actor, RunRecord]:
    """The run of a request by somebody who may act on it. Raises NotFound, NotPermitted."""
    desk, who = request.app[DESK], actor_of(request)
    record = find(desk, run_id(request))
    require(who, Deed.ACT_ON_RUN, record.owner, job_owner=owner_of(desk, record.job))
    return desk, who, record


def find(desk: Desk, run: int) -> RunRecord:
    """The run. Raises NotFound."""
    record = desk.reads.run(run)
    if record is None:
        raise NotFound(f"there is no run {run} (it never was, or its history has been pruned)")
    return record


def sees_contents(desk: Desk, who: Actor, record: RunRecord) -> bool:
    """Whether somebody may read what a run carries, says and fails with."""
    return permits(who, Deed.SEE_CONTENTS, record.owner, job_owner=owner_of(desk, record.job))


def _shown(desk: Desk, record: RunRecord, who: Actor) -> dict[str, Any]:
    contents = sees_contents(desk, who, record)
    fraction, text = desk.spoken(record.id) or (None, "")
    shown = shapes.run(record, contents=contents) | {
        "progress": fraction,
        "status_text": (text or None) if contents else None,
    }
    if shown["command"] is not None:
        shown["command"] = desk.masker(record.id).words(shown["command"])
    return shown


ROUTES = (
    Route("POST", "/v1/runs", submit, "Submit one run, or a batch of which all are accepted or none"),
    Route("GET", "/v1/runs", listing, "List runs, newest first", query=_LIST),
    Route("GET", "/v1/runs/{id}", show, "One run"),
    Route("GET", "/v1/runs/{id}/attempts", attempts, "The attempts of a run"),
    Route("GET", "/v1/runs/{id}/wait", wait, "Wait until a run is final", query=("timeout",)),
    Route("POST", "/v1/runs/{id}/cancel", cancel, "Cancel a run"),
    Route("POST", "/v1/runs/{id}/retry", retry, "Queue a failed or cancelled run again"),
)

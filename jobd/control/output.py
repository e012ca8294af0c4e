"""The captured output of attempts over HTTP, at once or as it grows.

Secrets are masked on the way out and nothing else is changed; `raw` hands out the bytes as they were captured.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from jobd.control.authorise import Deed, require
from jobd.control.connections import actor_of
from jobd.control.jobs import owner_of
from jobd.control.ports import Desk
from jobd.control.reader import Reader, Wanted
from jobd.control.routes import DESK, Route, check_query, flag, number, run_id
from jobd.control.runs import find
from jobd.control.shapes import is_final
from jobd.core.errors import Invalid, NotFound

_LOOK_SECONDS = 0.2
_MOST_LINES = 1_000_000
_QUERY = ("attempt", "stream", "follow", "offset", "lines", "raw")
_STREAMS = {"stdout": ("stdout",), "stderr": ("stderr",), "both": ("stdout", "stderr")}


async def show(request: web.Request) -> web.StreamResponse:
    """The output of an attempt (the latest by default); `follow` keeps the answer open until the attempt has ended.

    `offset` begins so many bytes into a stream, `lines` so many lines before its present end.
    """
    query, desk = check_query(request, _QUERY), request.app[DESK]
    record = find(desk, run_id(request))
    require(actor_of(request), Deed.SEE_CONTENTS, record.owner, job_owner=owner_of(desk, record.job))
    follow, raw = flag(query, "follow"), flag(query, "raw")
    if raw:
        require(actor_of(request), Deed.SEE_UNMASKED, record.owner, job_owner=owner_of(desk, record.job))
    streams = _STREAMS.get(query.get("stream", "both"))
    if streams is None:
        raise Invalid(f"stream must be one of {', '.join(_STREAMS)}", [("stream", "is not known")])
    offset = number(query, "offset", 0, 0, 2**62)
    if offset and len(streams) > 1:
        raise Invalid("offset counts in one stream; name it with stream=stdout or stream=stderr")
    lines = number(query, "lines", 0, 0, _MOST_LINES) if "lines" in query else None
    if offset and lines is not None:
        raise Invalid("lines counts from the end and offset from the start; give one of them")
    chosen = number(query, "attempt", 0, 1, 2**31)
    attempt = await _attempt(desk, record.id, chosen, follow=follow)
    wanted = Wanted(record.id, attempt, streams, offset, lines, is_raw=raw)
    return await _send(request, desk, wanted, follow=follow)


async def _attempt(desk: Desk, run: int, chosen: int, *, follow: bool) -> int:
    """The number of the attempt that is asked for; a follower waits until there is one. 0 where none will come."""
    while True:
        moved = {desk.changed(run), desk.finished(run)}
        record = find(desk, run)
        if chosen and chosen <= record.attempts:
            return chosen
        if not chosen and record.attempts:
            return record.attempts
        if chosen and (not follow or is_final(record) or chosen > record.max_attempts):
            raise NotFound(f"run {run} has no attempt {chosen} (it has {record.attempts})")
        if not follow or is_final(record):
            return 0
        await asyncio.wait(moved, timeout=60, return_when=asyncio.FIRST_COMPLETED)


async def _send(request: web.Request, desk: Desk, wanted: Wanted, *, follow: bool) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"X-Content-Type-Options": "nosniff", "X-Jobd-Attempt": str(wanted.attempt)})
    answer.content_type = "application/octet-stream" if wanted.is_raw else "text/plain"
    if not wanted.is_raw:
        answer.charset = "utf-8"
    if wanted.attempt == 0:
        await answer.prepare(request)
        return answer
    # A refusal can be told until `prepare` only, so the first look at the files comes before it.
    desk.outputs.read(wanted.run, wanted.attempt, wanted.streams[0], wanted.offset, 1)
    await answer.prepare(request)
    async for chunk in _follow(desk, wanted) if follow else _now(desk, wanted):
        await answer.write(chunk)
    return answer


async def _now(desk: Desk, wanted: Wanted) -> AsyncIterator[bytes]:
    """What there is, one stream after the other."""
    for stream in wanted.streams:
        reader, moved = Reader(desk, wanted, stream), True
        await reader.begin()
        while moved:
            chunk, moved, _ended = reader.more()
            if chunk:
                yield chunk
            await asyncio.sleep(0)
        if rest := reader.rest():
            yield rest


async def _follow(desk: Desk, wanted: Wanted) -> AsyncIterator[bytes]:
    """What there is and what is still written, until the attempt has ended and everything of it was read.

    Whether it has ended is judged before its output is read, so what is read afterwards is all of it.
    """
    readers = [Reader(desk, wanted, stream) for stream in wanted.streams]
    for reader in readers:
        await reader.begin()
    changed = desk.changed(wanted.run)
    over = _is_over(desk, wanted)
    while True:
        moved, closed = False, True
        for reader in readers:
            chunk, is_new, ended = reader.more()
            moved, closed = moved or is_new, closed and ended
            if chunk:
                yield chunk
            await asyncio.sleep(0)
        if moved:
            continue
        is_last = over or closed
        for reader in readers:
            if chunk := reader.rest() if is_last else reader.pause():
                yield chunk
        if is_last:
            return
        await asyncio.wait({changed}, timeout=_LOOK_SECONDS)
        if changed.done():
            changed = desk.changed(wanted.run)
            over = _is_over(desk, wanted)


def _is_over(desk: Desk, wanted: Wanted) -> bool:
    attempts = desk.reads.attempts(wanted.run)
    return any(one.attempt == wanted.attempt and one.outcome is not None for one in attempts)


ROUTES = (Route("GET", "/v1/runs/{id}/output", show, "The output of an attempt", query=_QUERY, answers="text"),)

"""Signals for runs over HTTP. What becomes of the run is its own affair: `cancel` is what ends it for certain."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobd.control import bodies
from jobd.control.ports import Desk
from jobd.control.routes import Route, answer, check_query
from jobd.control.runs import acted_on
from jobd.core.errors import Conflict, Invalid
from jobd.core.intents import Noted
from jobd.core.records import RunRecord
from jobd.core.signals import name_of, number_of
from jobd.core.states import RunState


async def kill(request: web.Request) -> web.Response:
    """Send a signal to every process of the attempt under way, and answer with what was reached."""
    check_query(request, ())
    desk, who, record = acted_on(request)
    number = _number(await bodies.optional_object(request, frozenset({"signal"})))
    try:
        attempt, pids = _send(desk, record, number)
    except Conflict as refusal:
        await desk.ask(Noted(who, "kill-run", f"run {record.id}", f"{name_of(number)}: {refusal}", "refused"))
        raise
    detail = f"{name_of(number)} to attempt {attempt}, processes {', '.join(map(str, pids[:20]))}"
    await desk.ask(Noted(who, "kill-run", f"run {record.id}", detail))
    return answer({"id": record.id, "attempt": attempt, "signal": name_of(number), "number": number, "pids": pids})


def _send(desk: Desk, record: RunRecord, number: int) -> tuple[int, list[int]]:
    if record.state is not RunState.RUNNING:
        raise Conflict(f"run {record.id} is {record.state}; a signal takes a run that is running")
    return desk.signal(record.id, number)


def _number(body: dict[str, Any]) -> int:
    given = body.get("signal", "TERM")
    try:
        return number_of(given if type(given) in (str, int) else "")
    except ValueError as error:
        raise Invalid(f"/signal: {error}", [("/signal", str(error))]) from None


ROUTES = (Route("POST", "/v1/runs/{id}/kill", kill, "Send a signal to a running run"),)

"""The spans of runs and attempts as plain values, for whatever exports them.

No word in them is a job's own: no payload, no output, no error text.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobd.core.events import AttemptFinished, RunFinished
from jobd.core.spans import micros, rfc3339
from jobd.core.states import Outcome, RunState, Trigger
from jobd.core.tracing import Spot

KIND = "span"
"""What marks them among events."""
OK, ERROR, UNSET = "ok", "error", "unset"
_OF_OUTCOME = {Outcome.SUCCEEDED: OK, Outcome.CANCELLED: UNSET, Outcome.INTERRUPTED: UNSET}
_OF_STATE = {RunState.SUCCEEDED: OK, RunState.FAILED: ERROR, RunState.EXPIRED: ERROR}

Span = dict[str, Any]


def of_run(
    event: RunFinished,
    spot: Spot,
    began_at: datetime,
    ended_at: datetime,
    links: Iterable[Spot],
    *,
    trigger: Trigger,
    slot: datetime | None,
) -> Span:
    """The span of a run from its acceptance to its end, linked to the runs it has waited for."""
    outcome = event.outcome.value if event.outcome is not None else event.state.value
    attributes = {
        "jobd.job": event.job,
        "jobd.run": event.run,
        "jobd.queue": event.queue,
        "jobd.trigger": trigger.value,
        "jobd.slot": rfc3339(slot) if slot is not None else None,
        "jobd.state": event.state.value,
        "jobd.outcome": outcome,
        "process.exit.code": event.exit_code,
    }
    status = _OF_STATE.get(event.state, UNSET)
    made = _span(f"run {event.job}", spot, began_at, ended_at, attributes, status, _words(outcome, event.exit_code))
    return made | {"links": [{"trace": one.trace_id, "span": one.span_id} for one in links]}


def of_attempt(event: AttemptFinished, spot: Spot, began_at: datetime, ended_at: datetime) -> Span:
    """The span of an attempt, from the start of its process to its end."""
    outcome, exit_code = event.ending.outcome, event.ending.exit_code
    attributes = {
        "jobd.job": event.job,
        "jobd.run": event.key.run,
        "jobd.queue": event.queue,
        "jobd.attempt": event.key.attempt,
        "jobd.outcome": outcome.value,
        "jobd.next_at": rfc3339(event.next_at) if event.next_at is not None else None,
        "process.exit.code": exit_code,
    }
    status = _OF_OUTCOME.get(outcome, ERROR)
    return _span(f"attempt {event.job}", spot, began_at, ended_at, attributes, status, _words(outcome, exit_code))


def _words(outcome: str, exit_code: int | None) -> str:
    return f"{outcome}, exit code {exit_code}" if exit_code is not None else outcome


def _span(
    name: str,
    spot: Spot,
    began_at: datetime,
    ended_at: datetime,
    attributes: dict[str, Any],
    status: str,
    description: str,
) -> Span:
    return {
        "kind": KIND,
        "name": name,
        "trace": spot.trace_id,
        "span": spot.span_id,
        "parent": spot.parent_id,
        "state": spot.state,
        "start": micros(began_at),
        "end": max(micros(began_at), micros(ended_at)),  # the clock may have been set back meanwhile
        "attributes": {key: value for key, value in attributes.items() if value is not None},
        "status": status,
        "description": description if status == ERROR else "",
        "links": [],
    }

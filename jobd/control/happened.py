"""How events look as JSON, and what of them is for the eyes of a run's owner alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jobd.control.shapes import time
from jobd.core import events
from jobd.core.events import Event

GAP = "gap"


def job_of(event: Event) -> str | None:
    """The job that an event is about."""
    return _named(event, "job")


def queue_of(event: Event) -> str | None:
    """The queue that an event is about."""
    return _named(event, "queue")


def _named(event: Event, what: str) -> str | None:
    if isinstance(event, events.Paused | events.Resumed):
        return event.name if event.kind == what and event.name != "*" else None
    return getattr(event, what, None)


def run_of(event: Event) -> int | None:
    """The run that an event is about."""
    match event:
        case events.RunAccepted(run=run) | events.RunFinished(run=run) | events.SlotDecided(run=run):
            return run
        case events.JobLate(run=run):
            return run
        case events.AttemptStarted(key=key) | events.AttemptFinished(key=key) | events.AttemptRescued(key=key):
            return key.run
    return None


def reason_of(event: Event) -> str:
    """What a run or attempt said of its end: to be hidden like its other contents. Empty where it said nothing."""
    match event:
        case events.RunFinished(reason=reason):
            return reason
        case events.AttemptFinished(ending=ending):
            return ending.error or ""
    return ""


def event(number: int, happened: Event, *, contents: bool) -> dict[str, Any]:
    """An event; without `contents` the reason that a run gave is null."""
    return {
        "id": number,
        "kind": KINDS[type(happened)],
        "at": time(happened.at),
        "job": job_of(happened),
        "queue": queue_of(happened),
        "run": run_of(happened),
    } | _details(happened, (reason_of(happened) or None) if contents else None)


def _details(happened: Event, reason: str | None) -> dict[str, Any]:
    shape = _SHAPES[type(happened)]
    return shape(happened, reason)


def _accepted(event: events.RunAccepted, _: str | None) -> dict[str, Any]:
    return {"trigger": event.trigger, "owner": event.owner}


def _attempt_started(event: events.AttemptStarted, _: str | None) -> dict[str, Any]:
    return {"attempt": event.key.attempt, "waited_seconds": event.waited_seconds}


def _attempt_finished(event: events.AttemptFinished, reason: str | None) -> dict[str, Any]:
    how = {"outcome": event.ending.outcome, "exit_code": event.ending.exit_code, "reason": reason}
    return {"attempt": event.key.attempt, **how, "next_at": time(event.next_at)}


def _run_finished(event: events.RunFinished, reason: str | None) -> dict[str, Any]:
    how = {"outcome": event.outcome, "exit_code": event.exit_code, "reason": reason}
    return {"state": event.state, **how, "duration": event.duration_seconds}


def _slot(event: events.SlotDecided, _: str | None) -> dict[str, Any]:
    what = {"slot": time(event.slot), "disposition": event.disposition, "reason": event.reason or None}
    return what | {"lag_seconds": event.lag_seconds}


def _rescued(event: events.AttemptRescued, _: str | None) -> dict[str, Any]:
    return {"attempt": event.key.attempt, "how": event.how}


def _paused(event: events.Paused, _: str | None) -> dict[str, Any]:
    return {"all": event.name == "*", "by": event.by, "until": time(event.until), "note": event.note or None}


def _resumed(event: events.Resumed, _: str | None) -> dict[str, Any]:
    return {"all": event.name == "*", "by": event.by}


def _queue_changed(event: events.QueueChanged, _: str | None) -> dict[str, Any]:
    return {"by": event.by, "set": dict(event.change.settings), "reset": list(event.change.reset)}


def _skipped(event: events.SlotSkipped, _: str | None) -> dict[str, Any]:
    return {"slot": time(event.slot), "by": event.by, "taken_back": event.taken_back}


def _circuit(event: events.CircuitChanged, _: str | None) -> dict[str, Any]:
    return {"failures": event.failures, "until": time(event.until), "trial": event.trial}


def _late(event: events.JobLate, _: str | None) -> dict[str, Any]:
    return {"check": event.check, "since": time(event.since), "detail": event.detail}


def _on_time(event: events.LatenessEnded, _: str | None) -> dict[str, Any]:
    return {"check": event.check, "since": time(event.since)}


def _catalog(event: events.CatalogChanged, _: str | None) -> dict[str, Any]:
    named = {"added": event.added, "changed": event.changed, "removed": event.removed, "problems": event.problems}
    return {word: list(found) for word, found in named.items()}


def _moved(event: events.ScheduleMoved, _: str | None) -> dict[str, Any]:
    return {"before": time(event.before), "now": time(event.now), "cause": event.cause}


def _stepped(event: events.ClockStepped, _: str | None) -> dict[str, Any]:
    return {"seconds": event.seconds}


def _degraded(event: events.Degraded, _: str | None) -> dict[str, Any]:
    return {"reason": event.reason, "detail": event.detail}


def gap(since: int, first: int) -> dict[str, Any]:
    """Stands for the events between two numbers that are no longer kept."""
    return {"id": first - 1, "kind": GAP, "since": since, "next": first}


_SHAPES: dict[type, Callable[[Any, str | None], dict[str, Any]]] = {
    events.RunAccepted: _accepted,
    events.AttemptStarted: _attempt_started,
    events.AttemptFinished: _attempt_finished,
    events.RunFinished: _run_finished,
    events.SlotDecided: _slot,
    events.AttemptRescued: _rescued,
    events.Paused: _paused,
    events.Resumed: _resumed,
    events.QueueChanged: _queue_changed,
    events.SlotSkipped: _skipped,
    events.CircuitChanged: _circuit,
    events.JobLate: _late,
    events.LatenessEnded: _on_time,
    events.CatalogChanged: _catalog,
    events.ScheduleMoved: _moved,
    events.ClockStepped: _stepped,
    events.Degraded: _degraded,
}
KINDS = {kind: re.sub(r"(?<!^)([A-Z])", r"_\1", kind.__name__).lower() for kind in _SHAPES}
"""Kind of event → its machine word. What is not here is not told of."""

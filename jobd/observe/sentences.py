"""Every sentence that jobd logs about what happened: events in, log entries out. Where they go is `journal`'s."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from jobd.core.events import (
    AttemptFinished,
    AttemptRescued,
    AttemptStarted,
    CatalogChanged,
    CircuitChanged,
    ClockStepped,
    Degraded,
    Event,
    JobLate,
    LatenessEnded,
    Paused,
    QueueChanged,
    Resumed,
    RunAccepted,
    RunFinished,
    ScheduleMoved,
    SlotDecided,
    SlotSkipped,
    StoreCommitted,
)
from jobd.core.holds import EVERYTHING
from jobd.core.lateness import Check
from jobd.core.model import Ending
from jobd.core.names import counted, several
from jobd.core.spans import rfc3339, show_seconds
from jobd.core.states import Disposition, Outcome, RunState


class Priority(IntEnum):
    """How urgent an entry is: the levels of syslog, lower is more urgent."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


LEVELS = {"debug": Priority.DEBUG, "info": Priority.INFO, "warning": Priority.WARNING, "error": Priority.ERROR}
"""The words of `logging.level`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One log record: a sentence, how urgent it is, and fields by which a journal is searched."""

    message: str
    priority: Priority = Priority.INFO
    fields: dict[str, str] = field(default_factory=dict)


MESSAGE_IDS = {
    RunAccepted: "5f0c1a52b7d94c0e9a3a4d0f6b1e7701",
    AttemptStarted: "0c7e4bb1f2a348b38f4f3c0b9d2a7702",
    AttemptFinished: "b1d36e0f9c5a4d6c8e27a41f50c37703",
    RunFinished: "e8a94f27306b4b1fa5d3c2971f647704",
    SlotDecided: "27b5d8c4a10e4f3b96c8e7d25a917705",
    AttemptRescued: "93f1c6a07d2b4e58b0a4f8e6c3d57706",
    CatalogChanged: "d04a7b9e65c84f1c8d23b6f9e1a87707",
    Degraded: "6a2e9d13f8b74c05a7f1c4e0d9b37708",
    ClockStepped: "c5b83f60e2d149a7b41e8d7f2c067709",
    ScheduleMoved: "7e1b94d2c6a84f35901dd3e8a5b47731",
    Paused: "1d0c52e8b6f94a77a3c2e95f84b67732",
    Resumed: "82f6a9c07e3b4d15b8d4c1f063a97733",
    QueueChanged: "5d92e7a1b3c84f06a8e1f47c209d7736",
    SlotSkipped: "e3a07c51d98b4b6fb25f60c4a1d87735",
    JobLate: "a94e07d3b1c54d2c8f60e7125bd47737",
    LatenessEnded: "38d1f5c2a06b4b1e97c4d80a6ef37738",
    CircuitChanged: "4b97e1d5c20f4f8e96a8b35d7e017734",
}
"""What marks each kind of entry in the journal, for ever (journalctl MESSAGE_ID=…)."""

_LEAST_URGENT: dict[type, Priority] = {RunAccepted: Priority.DEBUG, AttemptStarted: Priority.DEBUG}


def entries(event: Event, level: Priority = Priority.DEBUG) -> Iterator[Entry]:
    """What is to be logged of an event at this level; of many events that is nothing."""
    kind = type(event)
    if kind is StoreCommitted or _LEAST_URGENT.get(kind, Priority.ERROR) > level:
        return
    for entry in _entries(event):
        if entry.priority <= level:
            entry.fields["MESSAGE_ID"] = MESSAGE_IDS[kind]
            yield entry


def _entries(event: Event) -> Iterator[Entry]:
    match event:
        case RunAccepted():
            by = f" by {event.owner}" if event.owner else ""
            text = f"Run {event.run} of {event.job} was accepted ({event.trigger}{by})"
            yield Entry(text, Priority.DEBUG, _about(event.job, event.run, queue=event.queue))
        case AttemptStarted():
            text = f"Run {event.key.run} of {event.job}: attempt {event.key.attempt} started"
            fields = _about(event.job, event.key.run, attempt=event.key.attempt, queue=event.queue)
            yield Entry(f"{text} after waiting {show_seconds(event.waited_seconds)}", Priority.DEBUG, fields)
        case AttemptFinished():
            yield _attempt_finished(event)
        case RunFinished():
            yield _run_finished(event)
        case SlotDecided():
            yield _slot_decided(event)
        case AttemptRescued():
            yield _rescued(event)
        case Paused() | Resumed() | SlotSkipped() | CircuitChanged() | QueueChanged():
            yield _held(event)
        case CatalogChanged():
            yield from _catalog_changed(event)
        case ScheduleMoved():
            now = rfc3339(event.now) if event.now else "nothing in sight"
            text = f"The next slot of {event.job} moved from {rfc3339(event.before)} to {now} ({event.cause})"
            yield Entry(text, Priority.WARNING, _about(event.job))
        case JobLate() | LatenessEnded():
            yield _late(event)
        case ClockStepped():
            way = "forward" if event.seconds > 0 else "back"
            yield Entry(f"The wall clock was set {way} by {show_seconds(abs(event.seconds))}", Priority.WARNING)
        case Degraded():
            yield _degraded(event)


def _rescued(event: AttemptRescued) -> Entry:
    text = f"Run {event.key.run} of {event.job}: attempt {event.key.attempt} outlived the daemon ({event.how})"
    priority = Priority.WARNING if event.how == "lost" else Priority.NOTICE
    return Entry(text, priority, _about(event.job, event.key.run, attempt=event.key.attempt))


def _degraded(event: Degraded) -> Entry:
    fields = {"JOBD_REASON": event.reason}
    if not event.detail:
        return Entry(f"No longer degraded: {event.reason}", Priority.NOTICE, fields)
    return Entry(f"Degraded: {event.reason}: {event.detail}", Priority.ERROR, fields)


def _attempt_finished(event: AttemptFinished) -> Entry:
    ending = event.ending
    fields = _about(event.job, event.key.run, attempt=event.key.attempt, queue=event.queue, outcome=ending.outcome)
    text = f"Run {event.key.run} of {event.job}: attempt {event.key.attempt} {_how(ending)}"
    if event.next_at is not None:
        return Entry(f"{text}; the next one is due at {rfc3339(event.next_at)}", Priority.NOTICE, fields)
    return Entry(text, Priority.DEBUG, fields)


def _how(ending: Ending) -> str:
    if ending.outcome is Outcome.SUCCEEDED:
        return "succeeded"
    parts = [f"exit code {ending.exit_code}" if ending.exit_code is not None else "", ending.error or ""]
    shown = ", ".join(part for part in parts if part)
    word = "ran out of time" if ending.outcome is Outcome.TIMEOUT else f"ended {ending.outcome}"
    return f"{word} ({shown})" if shown else word


def _run_finished(event: RunFinished) -> Entry:
    outcome = event.outcome or event.state
    fields = _about(event.job, event.run, queue=event.queue, outcome=outcome)
    took = f" after {show_seconds(event.duration_seconds)}" if event.outcome is not None else ""
    if event.state is RunState.SUCCEEDED:
        but = f" ({event.reason})" if event.reason else ""
        return Entry(f"Run {event.run} of {event.job} succeeded{took}{but}", Priority.INFO, fields)
    why = event.reason or (f"exit code {event.exit_code}" if event.exit_code is not None else "")
    cause = f"{outcome}: {why}" if why and outcome != event.state else why or str(outcome)
    shown = f" ({cause})" if cause != event.state else ""
    priority = Priority.WARNING if event.state is RunState.FAILED else Priority.NOTICE
    return Entry(f"Run {event.run} of {event.job} {event.state}{took}{shown}", priority, fields)


def _slot_decided(event: SlotDecided) -> Entry:
    fields = _about(event.job, event.run) | {"JOBD_SLOT": rfc3339(event.slot), "JOBD_DISPOSITION": event.disposition}
    if event.disposition is Disposition.STARTED:
        text = f"Slot {rfc3339(event.slot)} of {event.job} became run {event.run}"
        return Entry(text, Priority.DEBUG, fields)
    why = f" ({event.reason})" if event.reason else ""
    return Entry(f"Slot {rfc3339(event.slot)} of {event.job} was {event.disposition}{why}", Priority.NOTICE, fields)


def _held(event: Paused | Resumed | SlotSkipped | CircuitChanged | QueueChanged) -> Entry:
    match event:
        case CircuitChanged(trial=int()):
            text = f"The circuit of {event.job} lets run {event.trial} try whether the job works again"
            return Entry(text, Priority.NOTICE, _about(event.job, event.trial))
        case CircuitChanged(until=datetime() as opens_until):
            times = counted(event.failures, "failure")
            text = f"The circuit of {event.job} is open until {rfc3339(opens_until)} after {times} in a row"
            return Entry(text, Priority.WARNING, _about(event.job))
        case CircuitChanged():
            return Entry(f"The circuit of {event.job} is closed", Priority.NOTICE, _about(event.job))
        case QueueChanged():
            text = f"The limits of queue {event.queue} were set by {event.by}: {event.change}"
            return Entry(text, Priority.NOTICE, {"JOBD_QUEUE": event.queue})
        case SlotSkipped():
            word = "is not skipped any more" if event.taken_back else "is going to be skipped"
            text = f"Slot {rfc3339(event.slot)} of {event.job} {word} (by {event.by})"
            return Entry(text, Priority.NOTICE, _about(event.job) | {"JOBD_SLOT": rfc3339(event.slot)})
        case Paused() | Resumed():
            return Entry(f"{_what(event)} {_kept_back(event)}", Priority.NOTICE, _where(event))


def _late(event: JobLate | LatenessEnded) -> Entry:
    fields = {"JOBD_CHECK": str(event.check)}
    if isinstance(event, LatenessEnded):
        text = f"Job {event.job} is not late any more ({event.check})"
        return Entry(text, Priority.NOTICE, _about(event.job, queue=event.queue) | fields)
    text = f"Job {event.job}{'' if event.check is Check.TIMEOUT else ' is late'}: {event.detail} ({event.check})"
    return Entry(text, Priority.WARNING, _about(event.job, event.run, queue=event.queue) | fields)


def _kept_back(event: Paused | Resumed) -> str:
    if isinstance(event, Resumed):
        return f"was resumed by {event.by}" if event.by else "is not paused any more: its time is over"
    until = f" until {rfc3339(event.until)}" if event.until else ""
    return f"was paused{until} by {event.by}" + (f": {event.note}" if event.note else "")


def _what(event: Paused | Resumed) -> str:
    return "Everything" if event.name == EVERYTHING else f"{event.kind.capitalize()} {event.name}"


def _where(event: Paused | Resumed) -> dict[str, str]:
    return {f"JOBD_{event.kind.upper()}": event.name}


def _catalog_changed(event: CatalogChanged) -> Iterator[Entry]:
    changes = (("added", event.added), ("changed", event.changed), ("removed", event.removed))
    told = [f"{word} {several(names)}" for word, names in changes if names]
    yield Entry(f"Definitions read: {'; '.join(told) or 'nothing changed'}", Priority.INFO)
    for problem in event.problems:
        yield Entry(f"Definition not in force: {problem}", Priority.WARNING)


def _about(
    job: str,
    run: int | None = None,
    *,
    attempt: int | None = None,
    queue: str | None = None,
    outcome: str | None = None,
) -> dict[str, str]:
    values = {
        "JOBD_JOB": job,
        "JOBD_RUN_ID": run,
        "JOBD_ATTEMPT": attempt,
        "JOBD_QUEUE": queue,
        "JOBD_OUTCOME": outcome,
    }
    return {name: str(value) for name, value in values.items() if value is not None}

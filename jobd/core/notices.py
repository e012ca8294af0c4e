"""What somebody is told of a job: which events are an occasion, when the same is told again, and what is said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from jobd.core import events
from jobd.core.escapes import visible
from jobd.core.lateness import Check
from jobd.core.model import Job, Json
from jobd.core.names import counted
from jobd.core.spans import rfc3339, show_seconds
from jobd.core.states import Disposition, Outcome, RunState

_LONGEST_REASON = 1000


class Occasion(StrEnum):
    ATTEMPT_FAILURE = "attempt_failure"
    FAILURE = "failure"
    """A run has failed for good."""
    RECOVERY = "recovery"
    """The first success after a failure, or after the job was late."""
    SUCCESS = "success"
    LATE = "late"
    MISSED = "missed"
    TIMEOUT_WARNING = "timeout_warning"
    CIRCUIT_OPEN = "circuit_open"


_HEADLINES = {
    Occasion.ATTEMPT_FAILURE: "an attempt failed",
    Occasion.FAILURE: "failed",
    Occasion.RECOVERY: "works again",
    Occasion.SUCCESS: "succeeded",
    Occasion.LATE: "is late",
    Occasion.MISSED: "missed its time",
    Occasion.TIMEOUT_WARNING: "is near its timeout",
    Occasion.CIRCUIT_OPEN: "is kept back by its circuit",
}
_TOLD_ALWAYS = frozenset({Occasion.RECOVERY, Occasion.SUCCESS})
TROUBLE = frozenset({Occasion.FAILURE, Occasion.LATE})
"""What a job recovers from."""
_NO_FAILURE = frozenset({Outcome.SUCCEEDED, Outcome.CANCELLED, Outcome.INTERRUPTED})


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened to a job, or the same several times."""

    occasion: Occasion
    job: str
    at: datetime
    queue: str | None = None
    run: int | None = None
    attempt: int | None = None
    outcome: str | None = None
    exit_code: int | None = None
    reason: str = ""
    times: int = 1
    """How often it happened since it was told of last, this time included."""
    since: datetime | None = None
    """When the trouble began, where it is not new."""
    duration_seconds: float | None = None

    @property
    def headline(self) -> str:
        return _HEADLINES[self.occasion]


def of_event(event: events.Event) -> Notice | None:
    """The occasion that an event is; most are none."""
    match event:
        case events.AttemptFinished():
            return _attempt(event)
        case events.RunFinished():
            return _run(event)
        case events.JobLate():
            return _late(event)
        case events.SlotDecided(disposition=Disposition.MISSED):
            reason = f"the slot of {rfc3339(event.slot)}: {event.reason or 'nothing ran'}"
            return Notice(Occasion.MISSED, event.job, event.at, run=event.run, reason=reason)
        case events.CircuitChanged(until=datetime() as until, trial=None):
            reason = f"{counted(event.failures, 'failure')} in a row; it is tried again at {rfc3339(until)}"
            return Notice(Occasion.CIRCUIT_OPEN, event.job, event.at, reason=reason)
    return None


def _late(event: events.JobLate) -> Notice:
    occasion = Occasion.TIMEOUT_WARNING if event.check is Check.TIMEOUT else Occasion.LATE
    return Notice(occasion, event.job, event.at, event.queue, event.run, reason=event.detail, since=event.since)


def _attempt(event: events.AttemptFinished) -> Notice | None:
    ending = event.ending
    if ending.outcome in _NO_FAILURE:
        return None
    again = f"; tried again at {rfc3339(event.next_at)}" if event.next_at else ""
    return Notice(
        Occasion.ATTEMPT_FAILURE,
        event.job,
        event.at,
        event.queue,
        event.key.run,
        event.key.attempt,
        ending.outcome,
        ending.exit_code,
        f"{_cut(ending.error or '')}{again}".removeprefix("; "),
    )


def _run(event: events.RunFinished) -> Notice | None:
    occasion = {
        RunState.SUCCEEDED: Occasion.SUCCESS,
        RunState.FAILED: Occasion.FAILURE,
        RunState.EXPIRED: Occasion.MISSED,
    }.get(event.state)
    if occasion is None:
        return None
    return Notice(
        occasion,
        event.job,
        event.at,
        event.queue,
        event.run,
        outcome=event.outcome or event.state,
        exit_code=event.exit_code,
        reason=_cut(event.reason),
        duration_seconds=event.duration_seconds,
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of an occasion of a job: since when it lasts, and when somebody was told last."""

    first_at: datetime
    told_at: datetime | None = None
    untold: int = 0
    """How often it happened since."""


def weigh(known: Known | None, notice: Notice, repeat_after: float) -> tuple[Known, Notice | None]:
    """What is to be remembered from now on, and what is to be told: nothing of what was told of a short time ago."""
    if known is None or known.told_at is None:
        first_at = known.first_at if known else notice.at
        return Known(first_at, notice.at), notice
    untold = known.untold + notice.times
    due_at = known.told_at + timedelta(seconds=repeat_after)
    # A clock that was set back must not keep anybody in the dark.
    if known.told_at <= notice.at < due_at:
        return Known(known.first_at, known.told_at, untold), None
    return Known(known.first_at, notice.at), replace(notice, times=untold, since=notice.since or known.first_at)


def is_remembered(occasion: Occasion) -> bool:
    """Whether it is told of again only after a while; what is good news always is."""
    return occasion not in _TOLD_ALWAYS


def merged(first: Notice, second: Notice) -> Notice:
    """Two of one occasion of one job as one: the later, counted."""
    return replace(second, times=first.times + second.times)


def facts(notice: Notice, job: Job | None, host: str, tail: str) -> dict[str, Json]:
    """A notice as JSON: what a message is made of. Texts of jobs hold no control characters any more."""
    return {
        "occasion": notice.occasion.value,
        "headline": notice.headline,
        "job": notice.job,
        "description": visible(job.description) if job else "",
        "host": host,
        "at": rfc3339(notice.at),
        "queue": notice.queue,
        "run": notice.run,
        "attempt": notice.attempt,
        "outcome": notice.outcome,
        "exit_code": notice.exit_code,
        "reason": visible(notice.reason),
        "count": notice.times,
        "since": rfc3339(notice.since) if notice.since else None,
        "duration": notice.duration_seconds,
        "tail": "\n".join(map(visible, tail.split("\n"))),
    }


def summary(told: dict[str, Any]) -> str:
    """What there is to say of a notice, a line for each fact; the text of a message unless its channel has another."""
    again = f" ({told['count']} times since it was told of last)" if told["count"] > 1 else ""
    took = told["duration"]
    lines = [
        f"{told['job']} on {told['host']} {told['headline']}{again}",
        "",
        _line("what it is", told["description"]),
        _line("reason", told["reason"]),
        _line("run", _run_words(told)),
        _line("outcome", _outcome_words(told)),
        _line("took", show_seconds(took) if took is not None else None),
        _line("at", told["at"]),
        _line("since", told["since"]),
        *([f"\nthe end of its output:\n{_indented(told['tail'])}"] if told["tail"] else []),
        *([f"\njobd-ctl show {told['run']}"] if told["run"] is not None else [f"\njobd-ctl why {told['job']}"]),
    ]
    return "\n".join(line for line in lines if line is not None)


def _line(name: str, value: object) -> str | None:
    return f"{name + ':':<12}{value}" if value not in (None, "") else None


def _run_words(told: dict[str, Any]) -> str | None:
    if told["run"] is None:
        return None
    return f"{told['run']}, attempt {told['attempt']}" if told["attempt"] is not None else str(told["run"])


def _outcome_words(told: dict[str, Any]) -> str | None:
    if told["outcome"] is None:
        return None
    return f"{told['outcome']}, exit code {told['exit_code']}" if told["exit_code"] is not None else told["outcome"]


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.split("\n"))

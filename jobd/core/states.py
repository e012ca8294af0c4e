"""The closed sets of words jobd speaks: states of a run, outcomes of an attempt, triggers, conditions of an edge,
dispositions of a slot."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """Where a run is in its life; the last five are final and never left."""

    BLOCKED = "blocked"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED, RunState.EXPIRED})
WAITING = frozenset({RunState.BLOCKED, RunState.SCHEDULED, RunState.QUEUED, RunState.RETRYING})


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMEOUT = "timeout"
    KILLED = "killed"
    OOM = "oom"
    LOST = "lost"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Trigger(StrEnum):
    """What brought a run into being."""

    SCHEDULE = "schedule"
    SUBMIT = "submit"
    RETRY = "retry"
    WORKFLOW = "workflow"
    CATCH_UP = "catch_up"

    @property
    def is_scheduled(self) -> bool:
        """A run that nobody asked for by hand: it has one attempt and no retry after loss unless its job says so."""
        return self in (Trigger.SCHEDULE, Trigger.CATCH_UP)


class Condition(StrEnum):
    """On which end of its parent a child waits."""

    SUCCESS = "success"
    FAILURE = "failure"
    ALWAYS = "always"


class Disposition(StrEnum):
    """What became of a due slot."""

    STARTED = "started"
    SKIPPED = "skipped"
    MISSED = "missed"
    COALESCED = "coalesced"
    EXPIRED = "expired"

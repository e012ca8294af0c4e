"""How attempts ended whose worker cannot tell it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from jobd.core.model import AttemptKey, Ending, Finished
from jobd.core.states import Outcome
from jobd.work.member import Task


def given_back(key: AttemptKey, error: str) -> Finished:
    """It never started, and costs nothing."""
    return Finished(key, Ending(Outcome.INTERRUPTED, finished_at=datetime.now(UTC), error=error, spent=False))


def lost(key: AttemptKey, error: str) -> Finished:
    return Finished(key, Ending(Outcome.LOST, finished_at=datetime.now(UTC), error=error))


def of_dead_worker(task: Task, error: str, *, was_running: bool) -> Finished:
    """What it was asked to end as, if it was the attempt being ended; lost otherwise."""
    outcome = (task.stop if was_running else None) or Outcome.LOST
    if outcome is not Outcome.LOST:
        error = f"{outcome.value}: it did not end when asked, and was ended together with its worker"
    ending = Ending(
        outcome,
        started_at=task.started_at,
        finished_at=datetime.now(UTC),
        exit_code=124 if outcome is Outcome.TIMEOUT else None,
        error=error,
        spent=outcome is not Outcome.INTERRUPTED,
        snapshot=task.snapshot if was_running else (),
    )
    return Finished(task.key, ending)


def as_asked(finished: Finished, stop: Outcome | None) -> Finished:
    """An attempt that was ended on request by its child alone looks killed to its worker."""
    ending = finished.ending
    if stop is None or ending.outcome not in (Outcome.KILLED, Outcome.FAILED, Outcome.LOST):
        return finished
    exit_code = 124 if stop is Outcome.TIMEOUT else ending.exit_code
    return Finished(finished.key, replace(ending, outcome=stop, exit_code=exit_code))


def manner(status: int) -> str:
    """The exit of a worker in words."""
    return f"signal {-status}" if status < 0 else f"exit status {status}"

"""Runs that wait until they are too late to start: their end, and that of the slots that brought them about."""

from __future__ import annotations

from dataclasses import dataclass

from jobd.core.states import RunState
from jobd.store import runs
from jobd.store.connection import Transaction

MOST = 1000
"""Runs that expire in one transaction."""


@dataclass(frozen=True, slots=True)
class ExpiredRun:
    """A waiting run that was just ended because it had not started in time."""

    id: int
    job_name: str
    queue: str
    reason: str


@dataclass(frozen=True, slots=True)
class Overdue:
    """A run that was just ended between two attempts because the time of all of them was over."""

    id: int
    job: int
    job_name: str
    queue: str
    spec: int
    newest_spec: int | None
    reason: str


def give_up(tx: Transaction) -> list[Overdue]:
    """End waiting runs whose total time-out is over, at most `MOST` of them."""
    rows = tx.rows("give_up", {"now": tx.at, "most": MOST})
    return [Overdue(run, job, name.strip(), queue, spec, new, why) for run, job, name, queue, spec, new, why in rows]


def expire(tx: Transaction) -> list[ExpiredRun]:
    """End every waiting run that never started and is too late for it now, at most `MOST` of them."""
    found = []
    for run, job, name, queue, slot, reason in tx.rows("expire", {"now": tx.at, "most": MOST}):
        if slot is not None:
            why = f"not_started: run {run} had {reason}"
            tx.run("expire_slot", {"job": job, "at": slot, "run": run, "reason": why})
        if job != 0:
            runs.note_last(tx, job, run, RunState.EXPIRED, None)
        found.append(ExpiredRun(run, name.strip(), queue, reason))
    return found


def is_behind(tx: Transaction) -> bool:
    """Whether a run still waits that is too late to start."""
    return tx.row("too_late", {"now": tx.at}) is not None

"""What jobs are late with, as statements: how a watched job stands, and the checks that fail by the last look."""

from __future__ import annotations

import json
from datetime import datetime

from jobd.core.holds import EVERYTHING, Pause
from jobd.core.lateness import Check, Facts, Late, Underway
from jobd.core.spans import from_micros, from_micros_if, micros
from jobd.store import holds
from jobd.store.connection import Transaction

_MOST_RUNNING = 1000


def facts(tx: Transaction, job: int, queue: str, pauses: dict[str, Pause]) -> Facts | None:
    """How a job stands; `pauses` are those of queues, in force or over. None where the store does not know it."""
    row = tx.row("watched", {"job": job})
    if row is None:
        return None
    first_seen, last_success, circuit, awaited, has_later, *own = row
    found = [holds.pause_of(*own), pauses.get(queue), pauses.get(EVERYTHING)]
    known = [pause for pause in found if pause is not None]
    run, due_at = json.loads(awaited) if awaited else (0, None)
    return Facts(
        first_seen_at=from_micros(first_seen),
        last_success_at=from_micros_if(last_success),
        awaited=None if due_at is None else (run, from_micros(due_at)),
        running=tuple(
            Underway(run, from_micros(started), timeout)
            for run, started, timeout in tx.rows("running_of", {"job": job, "most": _MOST_RUNNING})
        ),
        has_later=bool(has_later),
        is_held=any(pause.in_force for pause in known),
        is_open=circuit is not None,
        held_until=_end(known, tx.now),
    )


def _end(known: list[Pause], now: datetime) -> datetime | None:
    """When the last of these pauses ended."""
    return max((pause.until for pause in known if pause.until is not None and pause.until <= now), default=None)


def late(tx: Transaction, job: int) -> dict[Check, Late]:
    """The checks that failed by the last look."""
    return {
        Check(kind): Late(Check(kind), from_micros(since), run)
        for kind, since, run in tx.rows("late", {"job": job})
        if kind in set(Check)
    }


def note(tx: Transaction, job: int, one: Late) -> None:
    """Remember a check that fails."""
    tx.run("note_late", {"job": job, "kind": one.check, "since": micros(one.since), "run": one.run})


def forget(tx: Transaction, job: int, check: Check) -> None:
    """A check holds again."""
    tx.run("forget_late", {"job": job, "kind": check})


def late_jobs(tx: Transaction) -> list[tuple[str, int]]:
    """Every job that was late by the last look, in force or not, and its id."""
    return [(name, job) for name, job in tx.rows("late_jobs")]

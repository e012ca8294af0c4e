"""Forgetting: old runs and slots leave the store in small steps, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobd.core.model import AttemptKey
from jobd.core.retention import Ended
from jobd.core.spans import from_micros, from_micros_if, micros
from jobd.core.states import RunState
from jobd.store.connection import Transaction

_AMONG = 10_000
"""Newest runs of a job that are looked through for its last of each kind; where too few are found, all others stay."""

FINISHED_BUCKET = 300_000_000
"""Microseconds in which what was finished is counted together."""


def ended(tx: Transaction, cursor: int, before: datetime, most: int) -> list[Ended]:
    """The next runs above a cursor that were made before an instant, by id; some may not have ended."""
    rows = tx.rows("next_ended", {"cursor": cursor, "before": micros(before), "most": most})
    return [
        Ended(
            run=run,
            job=job,
            state=RunState(state),
            created_at=from_micros(created_at),
            finished_at=from_micros_if(finished_at),
            attempts=attempts,
            has_key=bool(has_key),
            is_dead=bool(is_dead),
            is_awaited=bool(is_awaited),
            unique_until=from_micros_if(unique_until),
        )
        for run, job, state, created_at, finished_at, attempts, has_key, is_dead, unique_until, is_awaited in rows
    ]


def kept_from(tx: Transaction, job: int, state: RunState, count: int) -> int:
    """The lowest id among the last `count` runs of a job that ended in a state; 0 where there are not as many."""
    if count == 0:
        return 2**63 - 1
    rows = tx.rows("newest_in_state", {"job": job, "state": state, "count": count, "among": _AMONG})
    return int(rows[-1][0]) if len(rows) == count else 0


def forget(tx: Transaction, runs: Sequence[Ended]) -> list[AttemptKey]:
    """Take runs out of the history; the attempts whose output nobody can ask for any more."""
    tx.many("forget_run", ((run.run,) for run in runs))
    return [AttemptKey(run.run, attempt) for run in runs for attempt in range(1, run.attempts + 1)]


def forget_figures(tx: Transaction, before: datetime) -> None:
    """Drop the figures of what was finished before an instant."""
    tx.run("forget_finished", {"before": micros(before) // FINISHED_BUCKET})


def jobs_above(tx: Transaction, cursor: int, most: int) -> list[int]:
    """The next jobs by id, whether in force or not."""
    return [row[0] for row in tx.rows("jobs_above", {"cursor": cursor, "most": most})]


def forget_slots(tx: Transaction, job: int, before: datetime, most: int) -> int:
    """Take old slots of a job out of the history; how many went, at most `most`."""
    tx.run("forget_slots", {"job": job, "before": micros(before), "most": most})
    return tx.changed()

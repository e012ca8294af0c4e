"""Ends runs at somebody's word: at once where they wait, by stopping their attempt where they run."""

from __future__ import annotations

from jobd.core import events
from jobd.core.states import Outcome, RunState
from jobd.store import runs
from jobd.store.connection import Transaction
from jobd.store.runs import EndedRun
from jobd.supervisor.aftermath import Aftermath


def cancel_run(tx: Transaction, run: int, reason: str, after: Aftermath) -> bool:
    """End a run that waits or runs; False where it does neither."""
    return cancel_waiting(tx, run, reason, after) or cancel_running(tx, run, reason, after)


def cancel_waiting(tx: Transaction, run: int, reason: str, after: Aftermath) -> bool:
    """End a run that waits; False where it does not."""
    return _tell(tx, run, runs.cancel_waiting(tx, run, reason), RunState.CANCELLED, reason, after)


def cancel_running(tx: Transaction, run: int, reason: str, after: Aftermath) -> bool:
    """Have the attempt of a run stopped; False where it does not run, or is being cancelled already."""
    key = runs.cancel_running(tx, run, reason)
    if key is None:
        return False
    after.stops.append((key, Outcome.CANCELLED))
    return True


def skip(tx: Transaction, run: int, reason: str, after: Aftermath) -> bool:
    """End an accepted run that is not to be executed; False where it runs or has ended."""
    return _tell(tx, run, runs.skip(tx, run, reason), RunState.SKIPPED, reason, after)


def _tell(tx: Transaction, run: int, ended: EndedRun | None, state: RunState, reason: str, after: Aftermath) -> bool:
    if ended is None:
        return False
    outcome = Outcome.CANCELLED if state is RunState.CANCELLED else None
    after.final.append(run)
    after.events.append(events.RunFinished(run, ended.job_name, ended.queue, tx.now, state, outcome, 0.0, None, reason))
    return True

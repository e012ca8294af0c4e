"""The stage that ends waiting runs whose time is over: to start (`start_deadline`, `expires`), or for all attempts
(`total_timeout`).
"""

from __future__ import annotations

from jobd.core import events
from jobd.core.model import Ending
from jobd.core.states import Outcome, RunState
from jobd.store import dead, expiry, runs
from jobd.store.connection import Transaction
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.finalize import judge_circuit
from jobd.supervisor.specs import Specs


def expire(tx: Transaction, after: Aftermath) -> bool:
    """End the runs that are too late. False where more of them are left than one transaction ends.

    Nothing may be reserved then: a run that is too late never starts.
    """
    found = expiry.expire(tx)
    for run in found:
        _ended(tx, run, after, RunState.EXPIRED)
    return len(found) < expiry.MOST or not expiry.is_behind(tx)


def give_up(tx: Transaction, specs: Specs, after: Aftermath) -> None:
    """End the runs that wait for another attempt and have no time left for it: they have failed for good."""
    for run in expiry.give_up(tx):
        ending = Ending(Outcome.TIMEOUT, finished_at=tx.now, exit_code=124, error=run.reason)
        if run.job != 0:
            runs.note_last(tx, run.job, run.id, RunState.FAILED, ending)
        judge_circuit(tx, run, specs, after, succeeded=False)
        job = specs.get(tx, run.spec)
        if job is None or job.dead_letter:
            dead.bury(tx, run.id, run.reason)
        _ended(tx, run, after, RunState.FAILED, Outcome.TIMEOUT, 124)


def _ended(
    tx: Transaction,
    run: expiry.ExpiredRun | expiry.Overdue,
    after: Aftermath,
    state: RunState,
    outcome: Outcome | None = None,
    exit_code: int | None = None,
) -> None:
    """Tell of a run that has ended without an attempt at work."""
    after.final.append(run.id)
    after.events.append(
        events.RunFinished(
            run=run.id,
            job=run.job_name,
            queue=run.queue,
            at=tx.now,
            state=state,
            outcome=outcome,
            duration_seconds=0.0,
            exit_code=exit_code,
            reason=run.reason,
        )
    )

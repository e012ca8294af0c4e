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
        after.final.append(run.id)
        after.events.append(
            events.RunFinished(
                run=run.id,
                job=run.job_name,
                queue=run.queue,
                at=tx.now,
                state=RunState.EXPIRED,
                outcome=None,
                duration_seconds=0.0,
                exit_code=None,
                reason=run.reason,
            )
        )
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
        after.final.append(run.id)
        after.events.append(
            events.RunFinished(
                run=run.id,
                job=run.job_name,
                queue=run.queue,
                at=tx.now,
                state=RunState.FAILED,
                outcome=Outcome.TIMEOUT,
                duration_seconds=0.0,
                exit_code=124,
                reason=run.reason,
            )
        )

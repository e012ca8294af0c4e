"""The stage that ends waiting runs that have become too late to start (`start_deadline`, `expires`)."""

from __future__ import annotations

from jobd.core import events
from jobd.core.states import RunState
from jobd.store import expiry
from jobd.store.connection import Transaction
from jobd.supervisor.aftermath import Aftermath


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

"""The stage that settles reports: how each attempt ended is written down, and its run ends, waits or is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from jobd.core import events, retry
from jobd.core.model import Ending, Finished, Job
from jobd.core.states import Outcome, RunState
from jobd.store import runs
from jobd.store.connection import Transaction
from jobd.store.runs import UnderWay
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.inbox import Batch
from jobd.supervisor.specs import Specs


def finalize(tx: Transaction, batch: Batch, specs: Specs, after: Aftermath) -> None:
    """Settle every report of a batch; one whose attempt is not under way any more is acknowledged and changes nothing."""
    for key, child in batch.children:
        runs.note_child(tx, key, child.identity, child.started_at)
    for finished in batch.reports:
        after.acknowledged.append(finished.key)
        under_way = runs.under_way(tx, finished.key)
        if under_way is not None:
            _settle(tx, finished, under_way, specs.get(tx, under_way.spec), after)


def _settle(tx: Transaction, finished: Finished, run: UnderWay, job: Job | None, after: Aftermath) -> None:
    ending = finished.ending
    runs.close_attempt(tx, finished.key, ending)
    decided = _decide(finished, run, job, tx)
    after.changed.append(finished.key.run)
    match decided:
        case retry.Retry(at=at):
            runs.run_again(tx, finished.key, at, ending, ending.error, counts=True)
            after.events.append(_attempt_finished(tx, finished, run, at))
        case retry.GiveBack(at=at):
            runs.run_again(tx, finished.key, at, ending, ending.error, counts=False)
            after.events.append(_attempt_finished(tx, finished, run, at))
        case retry.Succeed():
            _end(tx, finished, run, RunState.SUCCEEDED, ending.error, after)
        case retry.Fail(reason=reason):
            _end(tx, finished, run, RunState.FAILED, reason, after)
        case retry.CancelIt(reason=reason):
            _end(tx, finished, run, RunState.CANCELLED, reason, after)

"""The stage that settles reports: how each attempt ended is written down, and its run ends, waits or is tried again."""

from __future__ import annotations

from datetime import datetime

from jobd.core import events, retry
from jobd.core.model import Ending, Finished, Job
from jobd.core.states import Outcome, RunState
from jobd.store import dead, holds, runs
from jobd.store.connection import Transaction
from jobd.store.expiry import Overdue
from jobd.store.runs import UnderWay
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.inbox import Batch
from jobd.supervisor.specs import Specs


class Unkept(Exception):
    """A report holds something that the store cannot keep: one job's word, which is no fault of jobd's."""

    def __init__(self, finished: Finished, error: Exception) -> None:
        super().__init__(f"run {finished.key}: {error}")
        self.instead = Finished(
            finished.key,
            Ending(
                Outcome.FAILED,
                error=f"its report could not be kept ({type(error).__name__})",
                finished_at=finished.ending.finished_at,
                retryable=False,
            ),
        )
        """What is put in its place."""


def finalize(tx: Transaction, batch: Batch, specs: Specs, after: Aftermath) -> None:
    """Settle every report of a batch; one whose attempt is not under way any more changes nothing.

    Raises Unkept for a report that cannot be written down; the transaction is to be given up then.
    """
    for key, child in batch.children:
        runs.note_child(tx, key, child.identity, child.started_at)
    for finished in batch.reports:
        after.acknowledged.append(finished.key)
        run = runs.under_way(tx, finished.key)
        if run is None:
            continue
        try:
            runs.close_attempt(tx, finished.key, finished.ending)
            _settle(tx, finished, run, specs, after)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Unkept(finished, error) from error


def _verdict(tx: Transaction, finished: Finished, run: UnderWay, job: Job | None) -> retry.Verdict:
    if job is None:
        return retry.Fail("undecodable: its definition cannot be read by this version of jobd")
    return retry.after(
        finished.ending,
        run.spent,
        job,
        run.trigger,
        max_attempts=run.max_attempts,
        run_id=finished.key.run,
        now=tx.now,
        cancelling=run.cancelling,
        deadline=run.deadline,
    )


def _settle(tx: Transaction, finished: Finished, run: UnderWay, specs: Specs, after: Aftermath) -> None:
    ending, next_at, job = finished.ending, None, specs.get(tx, run.spec)
    match _verdict(tx, finished, run, job):
        case retry.Retry(at=at):
            runs.run_again(tx, finished.key, at, ending, ending.error, counts=True)
            next_at = at
        case retry.GiveBack(at=at):
            runs.run_again(tx, finished.key, at, ending, ending.error, counts=False)
            next_at = at
        case retry.Succeed():
            _end(tx, finished, run, RunState.SUCCEEDED, ending.error, after)
            judge_circuit(tx, run, specs, after, succeeded=True)
        case retry.Fail(reason=reason):
            _end(tx, finished, run, RunState.FAILED, reason, after)
            judge_circuit(tx, run, specs, after, succeeded=False)
            if job is None or job.dead_letter:
                dead.bury(tx, finished.key.run, reason)
        case retry.CancelIt(reason=reason):
            _end(tx, finished, run, RunState.CANCELLED, reason, after)
    after.changed.append(finished.key.run)
    after.events.append(events.AttemptFinished(finished.key, run.job_name, run.queue, tx.now, ending, next_at=next_at))


def _end(
    tx: Transaction, finished: Finished, run: UnderWay, state: RunState, reason: str | None, after: Aftermath
) -> None:
    ending = finished.ending
    runs.end(tx, finished.key, state, ending, reason)
    if run.job != 0:
        runs.note_last(tx, run.job, finished.key.run, state, ending)
    after.final.append(finished.key.run)
    after.events.append(
        events.RunFinished(
            run=finished.key.run,
            job=run.job_name,
            queue=run.queue,
            at=tx.now,
            state=state,
            outcome=ending.outcome,
            duration_seconds=_duration(ending, run.reserved_at, tx.now),
            exit_code=ending.exit_code,
            reason=reason or "",
        )
    )


def judge_circuit(tx: Transaction, run: UnderWay | Overdue, specs: Specs, after: Aftermath, *, succeeded: bool) -> None:
    """Open or close the circuit of a job that has a breaker, by how its run ended for good.

    The breaker is the job's, not the run's: one that was taken out opens nothing any more, and one that was put in
    judges runs that were accepted before.
    """
    job = None if run.newest_spec is None else specs.get(tx, run.newest_spec)
    if job is None or job.circuit_breaker is None:
        return
    known = holds.circuit_of(tx, run.job)
    now = known.after(job.circuit_breaker, tx.now, succeeded=succeeded)
    if now != known:
        holds.note_circuit(tx, run.job, now)
    if now.until != known.until:
        after.events.append(events.CircuitChanged(run.job_name, tx.now, now.failures, now.until))


def _duration(ending: Ending, reserved_at: datetime, now: datetime) -> float:
    return max(0.0, ((ending.finished_at or now) - (ending.started_at or reserved_at)).total_seconds())

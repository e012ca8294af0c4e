"""The stage that applies what clients ask: submit, cancel, retry. Whether they may was decided where they asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from jobd.core import events
from jobd.core.errors import Conflict, NotFound, TooLarge
from jobd.core.intents import Accepted, CancelRun, DropDead, Intent, RetryDead, RetryRun, Submit
from jobd.core.model import RunRequest
from jobd.core.states import Outcome, RunState
from jobd.store import jobs, runs
from jobd.store.connection import Transaction
from jobd.store.runs import JobRef
from jobd.supervisor import again
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.catalogs import InForce


def submit(
    tx: Transaction, intent: Submit, in_force: Mapping[str, InForce], most_queued: int, after: Aftermath
) -> list[Accepted]:
    """Accept every run of a submission. Raises TooLarge where its sender has too much waiting already."""
    owner = intent.actor.user
    if not intent.actor.is_admin and runs.queued_by(tx, owner) + len(intent.requests) > most_queued:
        raise TooLarge(f"{owner} may have {most_queued} runs waiting at most; wait for some to finish or cancel them")
    if any(request.key is not None for request in intent.requests):
        return [_keyed(tx, request, in_force, after) for request in intent.requests]
    return accept(tx, intent.requests, in_force, after)


def accept(
    tx: Transaction, requests: tuple[RunRequest, ...], in_force: Mapping[str, InForce], after: Aftermath
) -> list[Accepted]:
    """Write runs down as they are asked for."""
    refs = [(request, ref_of(tx, request, in_force)) for request in requests]
    found = []
    for run, request in zip(runs.submit(tx, refs), requests, strict=True):
        name = request.job.name
        after.events.append(events.RunAccepted(run, name, request.queue, request.trigger, tx.now, request.owner))
        found.append(Accepted(run, _first_state(request, tx.now)))
    return found


def ref_of(tx: Transaction, request: RunRequest, in_force: Mapping[str, InForce]) -> JobRef:
    """Where a request's definition stands in the store; one that is not in force (any more) is kept for its run."""
    if request.adhoc:
        return JobRef(jobs.ADHOC, jobs.keep_spec(tx, request.job))
    known = in_force.get(request.job.name)
    if known is None:
        raise NotFound(f"there is no job {request.job.name} any more")
    if known.job is request.job:
        return known.ref
    return JobRef(known.ref.job, jobs.keep_spec(tx, request.job))


def _keyed(tx: Transaction, request: RunRequest, in_force: Mapping[str, InForce], after: Aftermath) -> Accepted:
    if request.key is None:
        return accept(tx, (request,), in_force, after)[0]
    holder = runs.holder_of(tx, request)
    if holder is not None:
        return Accepted(holder[0], holder[1], duplicate=True)
    (accepted,) = accept(tx, (request,), in_force, after)
    runs.hold(tx, request, accepted.id)
    return accepted


def _first_state(request: RunRequest, now: datetime) -> RunState:
    return RunState.QUEUED if request.run_at is None or request.run_at <= now else RunState.SCHEDULED


def cancel(tx: Transaction, intent: CancelRun, after: Aftermath) -> RunState:
    """End a run: at once where it waits, by stopping its attempt where it runs."""
    reason = f"cancelled by {intent.actor.user}"
    if cancel_run(tx, intent.run, reason, after):
        return RunState.RUNNING if after.stops and after.stops[-1][0].run == intent.run else RunState.CANCELLED
    known = runs.state_of(tx, intent.run)
    if known is None:
        raise NotFound(f"there is no run {intent.run}")
    if known[0] is RunState.RUNNING:
        return RunState.RUNNING  # it is being cancelled already
    raise Conflict(f"run {intent.run} has ended {known[0]}; only a run that waits or runs can be cancelled")


def cancel_run(tx: Transaction, run: int, reason: str, after: Aftermath) -> bool:
    """End a run that waits or runs; False where it does neither."""
    ended = runs.cancel_waiting(tx, run, reason)
    if ended is not None:
        after.final.append(run)
        after.events.append(
            events.RunFinished(
                run, ended.job_name, ended.queue, tx.now, RunState.CANCELLED, Outcome.CANCELLED, 0.0, None, reason
            )
        )
        return True
    key = runs.cancel_running(tx, run, reason)
    if key is None:
        return False
    after.stops.append((key, Outcome.CANCELLED))
    return True


def answer(
    tx: Transaction,
    intent: Intent,
    in_force: Mapping[str, InForce],
    most_queued: int,
    after: Aftermath,
) -> object:
    """The answer to an intent; an error that concerns its sender alone is an answer too."""
    try:
        match intent:
            case Submit():
                return submit(tx, intent, in_force, most_queued, after)
            case CancelRun():
                return cancel(tx, intent, after)
            case RetryRun():
                return again.retry(tx, intent)
            case RetryDead():
                return again.retry_dead(tx, intent)
            case DropDead():
                return again.drop_dead(tx, intent)
    except (NotFound, Conflict, TooLarge) as error:
        return error

"""The stage that applies what clients ask: submit, cancel, retry. Whether they may was decided where they asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobd.core.errors import Conflict, NotFound, TooLarge
from jobd.core.intents import (
    Accepted,
    Actor,
    CancelJob,
    CancelRun,
    DropDead,
    Handled,
    Intent,
    Noted,
    Pause,
    Resume,
    RetryDead,
    RetryRun,
    SetQueue,
    SkipNext,
    Submit,
)
from jobd.core.model import RunRequest
from jobd.core.states import RunState
from jobd.store import holds, runs, submits
from jobd.store.connection import Transaction
from jobd.supervisor import again, hold, lanes
from jobd.supervisor.accept import Families, accept, accept_family, brings_others, check_dependencies, check_jobs
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.cancel import cancel_run, cancel_running, cancel_waiting
from jobd.supervisor.catalogs import InForce
from jobd.supervisor.together import Bound
from jobd.supervisor.twice import twice

MOST_CANCELLED = 1000
"""Runs that one transaction cancels of a job; whoever asked for more asks again."""
MOST_RUNS = 20_000
"""Runs of one submission at most, those included that workflows bring along."""


def submit(
    tx: Transaction, intent: Submit, in_force: Mapping[str, InForce], most_queued: int, after: Aftermath
) -> list[Accepted]:
    """Accept every run of a submission. Raises TooLarge where its sender has too much waiting already.

    Whatever it is refused for is found before anything is written, but for unique keys that are taken: these only the
    writing shows, and what was written before is taken back then.
    """
    check_jobs(intent.requests, in_force)
    if closed := lanes.drained(tx):
        lanes.check_open((one for one in intent.requests if not _is_held(tx, one)), closed)
    families = Families(in_force)
    total = _total(intent.requests, families)
    Bound(tx, most_queued).take(intent, total)
    check_dependencies(tx, [one for one in intent.requests if one.depends_on and not _is_held(tx, one)])
    if any(request.unique is not None for request in intent.requests):
        with tx.part():
            part = Aftermath()
            accepted = [_one(tx, request, families, intent.actor, part) for request in intent.requests]
        after.take_over(part)
        return accepted
    if any(request.key is not None or brings_others(request) for request in intent.requests):
        return [_one(tx, request, families, intent.actor, after) for request in intent.requests]
    return accept(tx, intent.requests, in_force, after)


def _total(requests: Sequence[RunRequest], families: Families) -> int:
    """How many runs a submission makes. Raises Conflict for a workflow that cannot be had, TooLarge for too many."""
    total = len(requests) + sum(len(families.of(one.job).members) - 1 for one in requests if one.job.workflow)
    if total > MOST_RUNS:
        raise TooLarge(f"the workflows bring along {total} runs in all (at most {MOST_RUNS}); send several batches")
    awaited = sum(len(one.depends_on) for one in requests if one.depends_on)
    if awaited > MOST_RUNS:
        raise TooLarge(f"depends_on names {awaited} runs in all (at most {MOST_RUNS}); send several batches")
    return total


def _is_held(tx: Transaction, request: RunRequest) -> bool:
    return request.key is not None and submits.holder_of(tx, request) is not None


def _one(tx: Transaction, request: RunRequest, families: Families, actor: Actor, after: Aftermath) -> Accepted:
    holder = submits.holder_of(tx, request) if request.key is not None else None
    if holder is not None:
        return Accepted(holder[0], holder[1], duplicate=True)
    if brings_others(request):
        accepted = accept_family(tx, request, families.of(request.job), families.in_force, after, actor)
    else:
        accepted = next(iter(accept(tx, (request,), families.in_force, after)), None)
    if accepted is None:
        accepted = twice(tx, request, actor)
    if request.key is not None:
        submits.hold(tx, request, accepted.id)
    return accepted


def cancel(tx: Transaction, intent: CancelRun, after: Aftermath) -> RunState:
    """End a run: at once where it waits, by stopping its attempt where it runs."""
    reason = f"cancelled by {intent.actor.user}"
    if cancel_waiting(tx, intent.run, reason, after):
        return RunState.CANCELLED
    if cancel_running(tx, intent.run, reason, after):
        return RunState.RUNNING
    known = runs.state_of(tx, intent.run)
    if known is None:
        raise NotFound(f"there is no run {intent.run}")
    if known[0] is RunState.RUNNING:
        return RunState.RUNNING  # it is being cancelled already
    raise Conflict(f"run {intent.run} has ended {known[0]}; only a run that waits or runs can be cancelled")


def cancel_job(tx: Transaction, intent: CancelJob, after: Aftermath) -> Handled:
    """End the runs of a job that wait or run, in force or not, at most `MOST_CANCELLED` in one transaction."""
    job = holds.job_id(tx, intent.job)
    if job is None:
        raise NotFound(f"there is no job {intent.job}, and never was")
    found = runs.unfinished_of(tx, job, MOST_CANCELLED)
    reason = f"cancelled by {intent.actor.user} with every run of the job"
    ended = [run for run in found if cancel_run(tx, run, reason, after)]
    return Handled(tuple(ended), is_partial=len(found) == MOST_CANCELLED)


def answer(
    tx: Transaction,
    intent: Intent,
    in_force: Mapping[str, InForce],
    most_queued: int,
    after: Aftermath,
) -> object:
    """The answer to an intent; an error that concerns its sender alone is an answer too."""
    said: object = None
    try:
        match intent:
            case Submit():
                said = submit(tx, intent, in_force, most_queued, after)
            case CancelRun():
                said = cancel(tx, intent, after)
            case CancelJob():
                said = cancel_job(tx, intent, after)
            case RetryRun():
                said = again.retry(tx, intent)
            case RetryDead():
                said = again.retry_dead(tx, intent)
            case DropDead():
                said = again.drop_dead(tx, intent)
            case Pause():
                hold.pause(tx, intent, in_force, after)
            case Resume():
                said = hold.resume(tx, intent, after)
            case SkipNext():
                said = hold.skip_next(tx, intent, in_force, after)
            case SetQueue():
                lanes.set_queue(tx, intent, after)
            case Noted():
                said = None  # being in the audit trail is all it asks for
    except (NotFound, Conflict, TooLarge) as error:
        said = error
    return said

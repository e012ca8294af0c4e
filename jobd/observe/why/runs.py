"""Why a run has not started yet, or how it goes and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobd.core.names import counted
from jobd.core.records import RunRecord, Wait
from jobd.core.states import WAITING, Outcome, RunState
from jobd.observe.why import limits
from jobd.observe.why.findings import (
    Blocker,
    Check,
    Finding,
    Hold,
    Host,
    clock,
    draining,
    first,
    held,
    numbered,
    span,
    storage,
    together,
)
from jobd.observe.why.limits import Dry, Short


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run, and everything that may keep it from starting."""

    host: Host
    run: RunRecord
    worker: int | None = None
    """The number of the worker that is at it."""
    queue_limit: int | None = None
    queue_running: tuple[int, ...] = ()
    job_limit: int | None = None
    job_running: tuple[int, ...] = ()
    ahead: int | None = 0
    """Runs of its lane that are served before it; None for more than were counted."""
    waits: tuple[Wait, ...] = ()
    """The runs that it waits for, or waited for."""
    dry: tuple[Dry, ...] = ()
    """Rate limits of its queue and its job that have no token for it."""
    short: tuple[Short, ...] = ()
    """Resources of which there is not enough left for it."""
    holds: tuple[Hold, ...] = ()
    """Pauses of its job and of its queue, and the open circuit of its job."""


def why(facts: RunFacts) -> Finding:
    """How a run stands and why: a waiting one with all that keeps it from starting."""
    found = first(_STANDING, facts) or together(OBSTACLES, facts) or _starting(facts)
    expires_at = facts.run.expires_at if facts.run.state in WAITING else None
    if expires_at is None:
        return found
    when = clock(expires_at, facts.host.zone)
    return replace(found, detail=f"{found.detail}; it expires at {when} if it has not started by then")


def _final(facts: RunFacts) -> Finding | None:
    run, host = facts.run, facts.host
    if not run.state.is_final:
        return None
    when = f" at {clock(run.finished_at, host.zone)}" if run.finished_at else ""
    return Finding(run.state, f"it {ended(run)}{when}", until=None)


def ended(run: RunRecord) -> str:
    """How a final run ended, as the rest of a sentence about it."""
    took = f" after {span(run.started_at, run.finished_at)}" if run.started_at and run.finished_at else ""
    tries = f" on attempt {run.attempts} of {run.max_attempts}" if run.max_attempts > 1 and run.attempts else ""
    match run.state:
        case RunState.SUCCEEDED:
            return f"succeeded{took}{tries}"
        case RunState.FAILED:
            return f"failed{took}{tries}: {_failure(run)}"
        case _:
            return f"was {run.state}" + (f": {run.error}" if run.error else "")


def _failure(run: RunRecord) -> str:
    if run.error:
        return run.error
    if run.outcome is Outcome.FAILED and run.exit_code is not None:
        return f"exit status {run.exit_code}"
    return str(run.outcome or "no reason was kept")


def _running(facts: RunFacts) -> Finding | None:
    run, host = facts.run, facts.host
    if run.state is not RunState.RUNNING:
        return None
    since = run.started_at or run.created_at
    at = "" if facts.worker is None else f" at worker {facts.worker}"
    ending = "; it is being cancelled" if run.cancelling else ""
    detail = f"attempt {run.attempts} of {run.max_attempts} has been running for {span(since, host.now)}{at}{ending}"
    return Finding("running", detail, () if facts.worker is None else (Blocker("worker", facts.worker, "is at it"),))


def _scheduled(facts: RunFacts) -> Finding | None:
    run, host = facts.run, facts.host
    if run.state is not RunState.SCHEDULED:
        return None
    return Finding("scheduled", f"it is to start at {clock(run.run_at, host.zone)}, not before", until=run.run_at)


def _retrying(facts: RunFacts) -> Finding | None:
    run, host = facts.run, facts.host
    if run.state is not RunState.RETRYING:
        return None
    how = f"attempt {run.attempts} of {run.max_attempts} ended: {_failure(run)}"
    return Finding("retrying", f"{how}; the next one is to start at {clock(run.run_at, host.zone)}", until=run.run_at)


def _blocked(facts: RunFacts) -> Finding | None:
    if facts.run.state is not RunState.BLOCKED:
        return None
    waits = [wait for wait in facts.waits if wait.decision is None]
    blockers = tuple(Blocker("run", wait.parent, f"{wait.job} {_stands(wait)}") for wait in waits[:100])
    told = _listed([f"the {wait.on} of run {wait.parent} ({wait.job}, which {_stands(wait)})" for wait in waits])
    return Finding("blocked", f"it waits for {told}", blockers)


def _stands(wait: Wait) -> str:
    return f"is {wait.state}"


def _listed(items: Sequence[str], most: int = 5) -> str:
    """A list as a sentence has it, cut where it gets long."""
    if len(items) > most:
        items = [*items[: most - 1], f"{len(items) - most + 1} more"]
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]])) or "other runs to end"


def _draining(facts: RunFacts) -> Finding | None:
    return draining(facts.host)


def _storage(facts: RunFacts) -> Finding | None:
    return storage(facts.host)


def _held(facts: RunFacts) -> Finding | None:
    return held(facts.holds[0], facts.host) if facts.holds else None


def _queue_full(facts: RunFacts) -> Finding | None:
    return _full("queue_full", f"queue {facts.run.queue} is full", facts.queue_limit, facts.queue_running)


def _job_full(facts: RunFacts) -> Finding | None:
    return _full("job_full", f"job {facts.run.job} is at its limit", facts.job_limit, facts.job_running)


def _full(reason: str, what: str, limit: int | None, running: tuple[int, ...]) -> Finding | None:
    if limit is None or len(running) < limit:
        return None
    blockers = tuple(Blocker("run", run, "is running") for run in running[:100])
    return Finding(reason, f"{what}, {len(running)}/{limit}: {numbered(running)}", blockers)


def _rate_limited(facts: RunFacts) -> Finding | None:
    return limits.rate_limited(facts.dry, facts.host) if facts.dry else None


def _short(facts: RunFacts) -> Finding | None:
    return limits.short(facts.short) if facts.short else None


def _no_worker(facts: RunFacts) -> Finding | None:
    host = facts.host
    if host.workers_busy < host.workers_max:
        return None
    return Finding("no_idle_worker", f"all workers are busy ({host.workers_busy} of {host.workers_max})")


def _behind(facts: RunFacts) -> Finding | None:
    if facts.ahead == 0:
        return None
    many = "more runs than were counted are" if facts.ahead is None else _are(facts.ahead)
    return Finding("behind", f"{many} ahead of it in queue {facts.run.queue}")


def _are(count: int) -> str:
    return f"{counted(count, 'run')} {'is' if count == 1 else 'are'}"


def _starting(_facts: RunFacts) -> Finding:
    return Finding("starting", "nothing keeps it: it starts as soon as a worker is ready")


_STANDING: tuple[Check[RunFacts], ...] = (_final, _running, _blocked, _scheduled, _retrying)
OBSTACLES: tuple[Check[RunFacts], ...] = (
    _draining,
    _storage,
    _held,
    _queue_full,
    _job_full,
    _short,
    _rate_limited,
    _no_worker,
    _behind,
)
"""What may keep a queued run from starting; the first that holds is the reason, the others are told beside it."""

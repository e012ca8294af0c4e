"""The stage that queues ended runs again: one by its id, or dead letters by a filter; and that puts these away."""

from __future__ import annotations

from jobd.core.errors import Conflict, NotFound
from jobd.core.intents import DropDead, Handled, RetryDead, RetryRun
from jobd.core.states import RunState
from jobd.store import dead, edges, runs
from jobd.store.connection import Transaction
from jobd.supervisor.follow import reopen

MOST_DEAD = 1000
"""Dead letters that one transaction acts on; whoever asked for more asks again."""


def retry(tx: Transaction, intent: RetryRun) -> RunState:
    """Queue a run again that ended failed or cancelled."""
    state = _run_again(tx, intent.run, intent)
    if state is not None:
        return state
    known = runs.state_of(tx, intent.run)
    if known is None:
        raise NotFound(f"there is no run {intent.run}")
    if (holder := runs.other_holder(tx, intent.run)) is not None and known[0] in (RunState.FAILED, RunState.CANCELLED):
        raise Conflict(
            f"run {intent.run} is unique, and run {holder.run} ({holder.state}) holds its key by now; retry it once "
            "that has ended, or cancel that first"
        )
    raise Conflict(f"run {intent.run} is {known[0]}; only a failed or cancelled run can be retried")


def _run_again(tx: Transaction, run: int, intent: RetryRun | RetryDead) -> RunState | None:
    """Queue one run again, or let it wait again for what it waited for; the state it has then.

    Its dead letter, if it has one, is settled by that, and the runs that were cancelled for it wait for it again.
    """
    state = runs.retry(tx, run)
    if state is None:
        return None
    dead.settle(tx, run, "retried", intent.actor.user)
    if intent.replaces_payload:
        runs.replace_payload(tx, run, intent.payload)
    edges.renew(tx, run)
    edges.waive(tx, run)
    reopen(tx, run)
    return state


def retry_dead(tx: Transaction, intent: RetryDead) -> Handled:
    """Queue the runs of dead letters again, at most `MOST_DEAD` in one transaction."""
    return _handled(tx, intent, [run for run in _chosen(tx, intent) if _run_again(tx, run, intent)])


def drop_dead(tx: Transaction, intent: DropDead) -> Handled:
    """Put dead letters away, at most `MOST_DEAD` in one transaction."""
    return _handled(
        tx, intent, [run for run in _chosen(tx, intent) if dead.settle(tx, run, "dropped", intent.actor.user)]
    )


def _chosen(tx: Transaction, intent: RetryDead | DropDead) -> list[int]:
    """The runs to act on. Raises NotFound where a run was named that is no open dead letter."""
    chosen = dead.choose(tx, intent.which, MOST_DEAD)
    missing = sorted(set(intent.which.runs) - set(chosen))
    if missing and len(chosen) < MOST_DEAD:
        raise NotFound(f"run {missing[0]} is no dead letter (jobd-ctl dead list shows those there are)")
    return chosen


def _handled(tx: Transaction, intent: RetryDead | DropDead, runs_: list[int]) -> Handled:
    return Handled(tuple(runs_), is_partial=bool(runs_) and bool(dead.choose(tx, intent.which, 1)))

"""The stage that queues ended runs again: one by its id, or dead letters by a filter; and that puts these away."""

from __future__ import annotations

from jobd.core.errors import Conflict, NotFound
from jobd.core.intents import DropDead, Handled, RetryDead, RetryRun
from jobd.core.states import RunState
from jobd.store import dead, edges, runs, submits
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
    holder = submits.other_holder(tx, intent.run)
    if holder is not None and known[0] in (RunState.FAILED, RunState.CANCELLED):
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
        submits.replace_payload(tx, run, intent.payload)
    edges.renew(tx, run)
    edges.waive(tx, run)
    reopen(tx, run)
    return state


def retry_dead(tx: Transaction, intent: RetryDead) -> Handled:
    """Queue the runs of dead letters again, at most `MOST_DEAD` in one transaction.

    One whose unique key another run holds stays as it is, and in nobody's way. Raises NotFound for a named run that is
    no open dead letter.
    """
    _check_named(tx, intent)
    done = [run for run in dead.choose_retriable(tx, intent.which, MOST_DEAD) if _run_again(tx, run, intent)]
    is_partial = bool(done) and bool(dead.choose_retriable(tx, intent.which, 1))
    held = () if is_partial else dead.choose(tx, intent.which, MOST_DEAD)
    return Handled(tuple(done), is_partial=is_partial, held=tuple(held))


def drop_dead(tx: Transaction, intent: DropDead) -> Handled:
    """Put dead letters away, at most `MOST_DEAD` in one transaction."""
    chosen = _check_named(tx, intent)
    done = [run for run in chosen if dead.settle(tx, run, "dropped", intent.actor.user)]
    return Handled(tuple(done), is_partial=bool(done) and bool(dead.choose(tx, intent.which, 1)))


def _check_named(tx: Transaction, intent: RetryDead | DropDead) -> list[int]:
    """The runs that are meant. Raises NotFound where a run was named that is no open dead letter."""
    chosen = dead.choose(tx, intent.which, MOST_DEAD)
    missing = sorted(set(intent.which.runs) - set(chosen))
    if missing and len(chosen) < MOST_DEAD:
        raise NotFound(f"run {missing[0]} is no dead letter (jobd-ctl dead list shows those there are)")
    return chosen

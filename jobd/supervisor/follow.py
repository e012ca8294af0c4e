"""The stage that lets runs go, or ends them, whose parents have ended; and that takes it back for a retry."""

from __future__ import annotations

from collections.abc import Sequence

from jobd.core import workflow
from jobd.store import edges
from jobd.store.connection import Transaction
from jobd.store.edges import Decision, OpenEdge
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.cancel import cancel_waiting


def follow(tx: Transaction, after: Aftermath) -> None:
    """Decide the edges below every run that has ended in this tick so far."""
    follow_runs(tx, after.final[after.followed :], after)
    after.followed = len(after.final)


def follow_runs(tx: Transaction, ended: Sequence[int], after: Aftermath) -> None:
    """Decide the edges below runs that have ended, and below those that end by that, down to the last.

    All edges below one batch of runs are found in one look, since nearly every run has none.
    """
    while ended:
        done = len(after.final)
        for edge in edges.open_below(tx, ended):
            _decide(tx, edge, after)
        ended = after.final[done:]


def _decide(tx: Transaction, edge: OpenEdge, after: Aftermath) -> None:
    if workflow.holds(edge.condition, edge.parent_state):
        edges.decide(tx, edge, Decision.HOLDS)
        edges.release(tx, edge.child)
        return
    reason = workflow.broken(edge.condition, edge.parent, edge.parent_job, edge.parent_state)
    was_waiting = cancel_waiting(tx, edge.child, reason, after)
    edges.decide(tx, edge, Decision.CANCELS if was_waiting else Decision.FAILS)


def reopen(tx: Transaction, run: int) -> None:
    """Let the runs that were cancelled because of this one wait for it again, and those below them.

    One that was let go already (by `catch` or `finally`) stays let go: it is never made to run twice.
    """
    again = [run]
    while again:
        for child in edges.reopen(tx, again.pop()):
            if edges.pass_blame(tx, child) is None and edges.block_again(tx, child):
                edges.renew(tx, child)
                again.append(child)

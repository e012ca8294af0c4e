"""Dead letters: runs that failed for good, kept with their reason until somebody retries or drops them."""

from __future__ import annotations

import json
from typing import Literal

from jobd.core.records import DeadFilter
from jobd.store.connection import Transaction

Action = Literal["retried", "dropped"]


def bury(tx: Transaction, run: int, reason: str) -> bool:
    """Keep a run that has just failed for good; False where it has not, or is kept already."""
    tx.run("bury", {"run": run, "reason": reason, "now": tx.at})
    return bool(tx.changed())


def settle(tx: Transaction, run: int, action: Action, by: str) -> bool:
    """Close the dead letter of a run; False where none is open. What it said stays as provenance."""
    tx.run("settle_dead", {"run": run, "action": action, "by": by, "now": tx.at})
    return bool(tx.changed())


def choose(tx: Transaction, which: DeadFilter, most: int) -> list[int]:
    """The runs whose open dead letters the filter leaves, the oldest letters first, at most so many."""
    return [row[0] for row in tx.rows("choose_dead", bindings(which) | {"most": most})]


def choose_retriable(tx: Transaction, which: DeadFilter, most: int) -> list[int]:
    """The same, without those whose unique key another run holds by now."""
    return [row[0] for row in tx.rows("choose_retriable", bindings(which) | {"most": most})]


def bindings(which: DeadFilter) -> dict[str, object]:
    """A filter as the statements take it."""
    return {
        "runs": json.dumps(which.runs) if which.runs else None,
        "job": which.job,
        "queue": which.queue,
        "owner": which.owner,
    }

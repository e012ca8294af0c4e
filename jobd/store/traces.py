"""What the spans of runs are made of: read after the commits that ended them, and the seed of their ids."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobd.core.model import AttemptKey
from jobd.core.spans import from_micros, from_micros_if
from jobd.core.states import Trigger
from jobd.core.trace import Trace
from jobd.core.tracing import Traced
from jobd.store.connection import Transaction

Rows = Callable[[str, Any], list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run, when it was due and when it ended, as its span tells it."""

    traced: Traced
    trigger: Trigger
    slot: datetime | None
    finished_at: datetime | None


def seed(tx: Transaction) -> str:
    """What sets the ids of this store's spans apart from those of others; the same for ever."""
    row = tx.row("meta", {"key": "trace_seed"})
    if row is not None:
        return str(row[0])
    made = secrets.token_hex(16)
    tx.run("note_meta", {"key": "trace_seed", "value": made})
    return made


def facts(rows: Rows, run: int) -> RunFacts | None:
    """What a run's spans are made of; None where it is not kept any more."""
    found = rows("traced_run", {"run": run})
    return _facts(found[0]) if found else None


def parents(rows: Rows, run: int) -> list[Traced]:
    """The runs that a run has waited for."""
    return [_facts(row).traced for row in rows("traced_parents", {"run": run})]


def attempt(rows: Rows, key: AttemptKey) -> tuple[datetime, datetime | None] | None:
    """From when to when an attempt was under way."""
    found = rows("span_of_attempt", {"run": key.run, "attempt": key.attempt})
    return (from_micros(found[0][0]), from_micros_if(found[0][1])) if found else None


def _facts(row: tuple[Any, ...]) -> RunFacts:
    run, created_at, renewed_at, parent, state, trigger, slot, finished_at = row
    trace = None if parent is None else Trace(parent, state or "")
    traced = Traced(run, from_micros(created_at), from_micros_if(renewed_at), trace)
    return RunFacts(traced, Trigger(trigger), from_micros_if(slot), from_micros_if(finished_at))

"""What comes due without anybody asking for it: found in one look, since nearly every tick finds nothing."""

from __future__ import annotations

from datetime import datetime

from jobd.core.spans import from_micros
from jobd.store.connection import Transaction


def is_any(tx: Transaction) -> bool:
    """Whether runs are to be promoted or given up, or pauses and circuits to be looked at."""
    at, _, is_open = _look(tx)
    return bool(is_open) or (at is not None and at <= tx.at)


def next_at(tx: Transaction) -> datetime | None:
    """When the next run becomes ready, or one that waits too late, or the next pause or cooldown is over."""
    at, cooldown, _ = _look(tx)
    known = [one for one in (at, cooldown) if one is not None]
    return from_micros(min(known)) if known else None


def _look(tx: Transaction) -> tuple[int | None, int | None, int]:
    """The next instant of runs and pauses, the next end of a cooldown, and whether a circuit is open."""
    row = tx.row("coming", {"now": tx.at})
    assert row is not None
    at, cooldown, is_open = row
    return at, cooldown, is_open

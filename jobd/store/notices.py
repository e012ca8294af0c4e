"""What is remembered of notifications, as statements: what a job was told of last, and what waits for a channel."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from jobd.core.notices import Known, Occasion
from jobd.core.spans import from_micros, from_micros_if, micros, micros_if
from jobd.store.connection import Transaction


def known(tx: Transaction, job: int, occasion: Occasion) -> Known | None:
    """What is remembered of an occasion of a job."""
    row = tx.row("notice", {"job": job, "occasion": occasion})
    return None if row is None else Known(from_micros(row[0]), from_micros_if(row[1]), row[2])


def note(tx: Transaction, job: int, occasion: Occasion, now: Known) -> None:
    """Remember it as it is now."""
    values = {"first_at": micros(now.first_at), "told_at": micros_if(now.told_at), "untold": now.untold}
    tx.run("note_notice", {"job": job, "occasion": occasion, **values})


def settle(tx: Transaction, job: int) -> dict[Occasion, datetime]:
    """Forget everything that was wrong with a job; what that was, and since when."""
    rows = tx.rows("settle_notices", {"job": job})
    return {Occasion(occasion): from_micros(first) for occasion, first in rows if occasion in set(Occasion)}


def recent(tx: Transaction, job: int, since: datetime, most: int) -> int:
    """How many of the last so many runs of a job were accepted since an instant."""
    row = tx.row("recent_runs", {"job": job, "since": micros(since), "most": most})
    return int(row[0]) if row else 0


def waiting_digest(tx: Transaction, job: int, key: str) -> tuple[int, dict[str, Any]] | None:
    """The run of a job with this key that nobody has tried to carry out yet, and its payload."""
    row = tx.row("untried", {"job": job, "key": key})
    return None if row is None else (row[0], json.loads(row[1]))


def waiting(tx: Transaction, job: int, most: int) -> int:
    """How many runs of a job wait that nobody has tried yet, counted up to a bound."""
    return len(tx.rows("oldest_untried", {"job": job, "most": most}))


def oldest_waiting(tx: Transaction, job: int, most: int) -> list[int]:
    """The oldest of them."""
    return [run for (run,) in tx.rows("oldest_untried", {"job": job, "most": most})]

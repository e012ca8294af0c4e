"""Takes the next runs of a queue for workers: what waits in which lane, and the attempts that begin."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jobd.core.allot import Lane
from jobd.core.model import AttemptKey, ProcessIdentity
from jobd.core.spans import from_micros, from_micros_if, micros
from jobd.core.states import Trigger
from jobd.core.trace import Trace
from jobd.store.connection import Transaction


@dataclass(frozen=True, slots=True)
class Reserved:
    """A run that was just moved to running: what its worker needs to know beside the definition."""

    key: AttemptKey
    given_back: int
    job: int
    spec: int
    queue: str
    lane: int
    priority: int
    run_at: datetime
    created_at: datetime
    max_attempts: int
    trigger: Trigger
    slot: datetime | None
    timeout_seconds: float | None
    owner: str | None
    payload: str | None
    """JSON text, as it was submitted."""
    is_poison: bool = False
    """What stands in its row cannot be read: it can only be failed, so that it stops no other run."""
    parent: int | None = None
    """Set for a run that waited for others."""
    trace: Trace | None = None
    renewed_at: datetime | None = None
    """When it was last made to wait again after it had been final."""


def promote(tx: Transaction, most: int = 1000) -> int:
    """Let runs wait for a worker whose time has come; how many were promoted, at most `most`."""
    return len(tx.rows("promote", {"now": tx.at, "most": most}))


def waiting_queues(tx: Transaction, after: str, most: int) -> list[str]:
    """The first `most` queues after a name in which runs wait, those aside included."""
    return [row[0] for row in tx.rows("waiting_queues", {"after": after, "most": most})]


def open_lanes(tx: Transaction, queue: str, full: Collection[int], most: int) -> list[int]:
    """Of a queue the common lane and the `most` best other ones that are not full, as far as runs wait in them.

    The best so many runs of all lanes are among theirs. What is full costs a look each, what stands aside nothing.
    """
    common = [0] if tx.row("common_lane", {"queue": queue}) else []
    bindings = {"queue": queue, "full": json.dumps([*full]), "most": most}
    return common + [row[0] for row in tx.rows("best_lanes", bindings)]


def waiting(tx: Transaction, queue: str, lane: int, most: int) -> int:
    """How many runs wait in a lane, counted up to `most`."""
    row = tx.row("waiting", {"queue": queue, "lane": lane, "most": most})
    return int(row[0]) if row else 0


def running(tx: Transaction) -> dict[Lane, int]:
    """How many attempts are under way, by lane."""
    return {Lane(queue, number): count for queue, number, count in tx.rows("running")}


def reserve(tx: Transaction, queue: str, room: Sequence[tuple[int, int]], most: int) -> list[Reserved]:
    """Move the best waiting runs of a queue to running, best first.

    `room` says of each open lane (its number) how many it may take; `most` bounds them all together. One statement
    moves them, so no two reservations ever hold the same attempt.
    """
    if len(room) == 1:
        number, free = room[0]
        bindings: dict[str, object] = {"lane": number, "most": min(free, most), "queue": queue, "now": tx.at}
        rows = tx.rows("reserve_lane", bindings)
    else:
        bindings = {"lanes": json.dumps(room), "most": most, "queue": queue, "now": tx.at}
        rows = tx.rows("reserve", bindings)
    return _in_order(tx, queue, rows)


def best(tx: Transaction, queue: str, room: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """The best waiting runs of a queue, best first, each with its lane: of each lane at most `most`."""
    bindings = {"lanes": json.dumps(room), "most": most, "queue": queue}
    return [(run, lane) for run, lane in tx.rows("best", bindings)]


def reserve_these(tx: Transaction, queue: str, chosen: Sequence[int]) -> list[Reserved]:
    """Move these waiting runs of a queue to running, best first."""
    return _in_order(tx, queue, tx.rows("reserve_these", {"runs": json.dumps(chosen), "now": tx.at}))


def _in_order(tx: Transaction, queue: str, rows: list[tuple[Any, ...]]) -> list[Reserved]:
    rows.sort(key=lambda row: (-row[5], row[6], row[0]))
    return [_reserved(tx, queue, row) for row in rows]


def head(tx: Transaction, queue: str, lane: int, most: int) -> list[str]:
    """The jobs of the runs that come first in a lane, in the order in which they are reserved."""
    return [row[0] for row in tx.rows("head", {"queue": queue, "lane": lane, "most": most})]


def _reserved(tx: Transaction, queue: str, row: tuple[Any, ...]) -> Reserved:
    (
        run, attempt, given_back, job, spec, priority, run_at, created_at, most, trigger, slot, timeout, owner, lane,
        parent, renewed_at,
    ) = row  # fmt: skip
    payload, trace, is_poison = _payload(tx, run)
    return Reserved(
        key=AttemptKey(run, attempt),
        given_back=given_back,
        job=job,
        spec=spec,
        queue=queue,
        lane=lane,
        priority=priority,
        run_at=from_micros(run_at),
        created_at=from_micros(created_at),
        max_attempts=most,
        trigger=Trigger(trigger),
        slot=from_micros_if(slot),
        timeout_seconds=timeout,
        owner=owner,
        payload=payload,
        is_poison=is_poison,
        parent=parent,
        trace=trace,
        renewed_at=from_micros_if(renewed_at),
    )


def _payload(tx: Transaction, run: int) -> tuple[str | None, Trace | None, bool]:
    """The payload of a run, its trace, and whether they are past reading: a disk or a hand may have changed them."""
    try:
        data = tx.row("payload", {"run": run})
    except UnicodeDecodeError:
        return None, None, True
    payload, parent, state = data or (None, None, None)
    return payload, Trace(parent, state or "") if parent else None, False


def open_attempts(tx: Transaction, taken: Iterable[tuple[AttemptKey, ProcessIdentity]]) -> None:
    """Write down which worker each reserved attempt is about to start in."""
    tx.many(
        "open_attempt",
        ((key.run, key.attempt, tx.at, worker.boot_id, worker.pid, worker.start_ticks) for key, worker in taken),
    )


def set_deadline(tx: Transaction, run: int, span: timedelta) -> datetime:
    """When the time of all attempts of a running run is over, which is `span` long and begins with the first."""
    row = tx.row("set_deadline", {"run": run, "deadline": micros(tx.now + span)})
    assert row is not None
    return from_micros(row[0])

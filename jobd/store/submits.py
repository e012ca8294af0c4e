"""Takes runs in: a row for each, its unique and idempotency keys, and what it counts towards."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from jobd.core.ledger import Uses
from jobd.core.model import Json, RunRequest
from jobd.core.retention import KEY_HELD
from jobd.core.spans import micros, micros_if
from jobd.core.states import RunState
from jobd.core.unique import Claim, claim
from jobd.store import limits
from jobd.store.connection import Transaction

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""JSON as it is kept."""


@dataclass(frozen=True, slots=True)
class JobRef:
    """Where a job and its definition stand in the store."""

    job: int
    spec: int


def submit(tx: Transaction, requests: Sequence[tuple[RunRequest, JobRef]]) -> list[int]:
    """Accept runs in one go and give their ids, in order. Keys are the caller's to settle (`holder_of`, `hold`).

    A run that is to be unique comes first, at most with others that it brings along: where its key is taken, nothing
    is written and no id given.
    """
    first = next_id(tx)
    lanes = {job: _lane_of(tx, job) for job in {ref.job for _, ref in requests}}
    own = {asked: limits.special_lane(tx, *asked) for asked in _own_uses(requests)}
    rows = []
    for n, (request, ref) in enumerate(requests):
        own_lane = None if request.uses is None else own[ref.job, request.uses]
        rows.append(_run_row(tx, first + n, request, ref, lanes[ref.job], own_lane))
    if rows[0][_UNIQUE_KEY] is None:
        tx.many("add_run", rows)
    else:
        tx.run("add_run", rows[0])
        if not tx.changed():
            return []
        tx.many("add_run", rows[1:])
    _count(tx, rows)
    payloads = [
        (first + n, encode(request.payload)) for n, (request, _) in enumerate(requests) if request.payload is not None
    ]
    if payloads:
        tx.many("add_payload", payloads)
    traces = [_trace_row(first + n, request) for n, (request, _) in enumerate(requests) if request.trace is not None]
    if traces:
        tx.many("keep_trace", traces)
    return list(range(first, first + len(requests)))


def _trace_row(run: int, request: RunRequest) -> tuple[int, str | None, str | None]:
    trace = request.trace
    return (run, trace.parent, trace.state or None) if trace else (run, None, None)


def next_id(tx: Transaction) -> int:
    """The id that the next accepted run gets; those accepted with it count on from there."""
    row = tx.row("last_run_id")
    return tx.ids.after(int(row[0]) if row else 0)


def first_state(request: RunRequest, now: datetime) -> RunState:
    """The state in which a run begins: one with a parent waits for it."""
    if request.parent is not None:
        return RunState.BLOCKED
    return RunState.QUEUED if request.run_at is None or request.run_at <= now else RunState.SCHEDULED


def _lane_of(tx: Transaction, job: int) -> int:
    """Where waiting runs of a job stand: aside, in its own lane, or in the common one."""
    row = tx.row("lanes_of_job", {"job": job})
    return int(row[1]) if row else 0


def _own_uses(requests: Sequence[tuple[RunRequest, JobRef]]) -> set[tuple[int, Uses]]:
    return {(ref.job, request.uses) for request, ref in requests if request.uses is not None}


def _run_row(
    tx: Transaction, run: int, request: RunRequest, ref: JobRef, lane: int, own_lane: int | None
) -> tuple[object, ...]:
    run_at = tx.at if request.run_at is None else micros(request.run_at)
    wanted = claim(request, tx.now)
    return (
        run,
        ref.job,
        ref.spec,
        lane if own_lane is None or lane < 0 else own_lane,
        request.queue,
        request.priority,
        first_state(request, tx.now),
        run_at,
        tx.at,
        request.max_attempts,
        request.trigger,
        micros_if(request.slot),
        request.timeout_seconds,
        request.owner,
        request.parent,
        request.key,
        micros_if(request.expires_at(tx.now)),
        None if wanted is None else wanted.digest,
        None if wanted is None or wanted.until is None else micros(wanted.until),
        own_lane,
    )


_stand, _owner = itemgetter(1, 4, 6), itemgetter(13)
"""Of a row of `_run_row`: its job, queue and state; whose it is."""
_UNIQUE_KEY = 17


def _count(tx: Transaction, rows: Sequence[tuple[object, ...]]) -> None:
    """Count new runs in, a batch at a time; what becomes of them is counted by the store's triggers."""
    tx.many("count_new", [(*stand, count) for stand, count in Counter(map(_stand, rows)).items()])
    owned = [(owner, count) for owner, count in Counter(map(_owner, rows)).items() if owner is not None]
    if owned:
        tx.many("count_owned", owned)


def _digest(request: RunRequest) -> bytes:
    name = "\0adhoc" if request.adhoc else request.job.name
    return hashlib.sha256(json.dumps([request.owner, name, request.queue, request.key]).encode()).digest()


def holder_of(tx: Transaction, request: RunRequest) -> tuple[int, RunState] | None:
    """The run that holds this request's idempotency key, if one does."""
    row = tx.row("held_key", {"digest": _digest(request), "now": tx.at})
    return None if row is None else (row[0], RunState(row[1]))


def hold(tx: Transaction, request: RunRequest, run: int) -> None:
    """Let a new run hold its request's key."""
    tx.run("hold_key", {"digest": _digest(request), "run": run, "held_until": micros(tx.now + KEY_HELD)})


@dataclass(frozen=True, slots=True)
class Holder:
    """The run that holds a unique key."""

    run: int
    state: RunState
    owner: str | None = None


def unique_holder(tx: Transaction, wanted: Claim) -> Holder | None:
    """The run that holds a unique key, if one does."""
    row = tx.row("unique_holder", {"digest": wanted.digest})
    return None if row is None else Holder(row[0], RunState(row[1]), row[2])


def other_holder(tx: Transaction, run: int) -> Holder | None:
    """The run that by now holds the unique key which an ended run had."""
    row = tx.row("other_holder", {"run": run})
    return None if row is None else Holder(row[0], RunState(row[1]))


def replace_waiting(tx: Transaction, run: int, request: RunRequest) -> RunState | None:
    """Let a run that waits do what is asked for now; the state it has then, None where it runs or has ended."""
    expires_at = request.expires_at(tx.now)
    bindings = {
        "run": run,
        "now": tx.at,
        "priority": request.priority,
        "run_at": tx.at if request.run_at is None else micros(request.run_at),
        "expires_at": micros_if(expires_at),
    }
    row = tx.row("replace_waiting", bindings)
    if row is None:
        return None
    replace_payload(tx, run, request.payload)
    tx.many("keep_trace", [_trace_row(run, request)])
    return RunState(row[0])


def queued_by(tx: Transaction, owner: str) -> int:
    """How many runs of a submitter wait."""
    row = tx.row("queued_by_owner", {"owner": owner})
    return int(row[0]) if row else 0


def replace_payload(tx: Transaction, run: int, payload: Json) -> None:
    """Give a run another payload before it is tried again."""
    tx.run("replace_payload", {"run": run, "payload": encode(payload)})

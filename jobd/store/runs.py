"""The life of a run as statements; each names the state it expects and may find it gone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from jobd.core.allot import Lane
from jobd.core.ledger import Uses
from jobd.core.model import AttemptKey, Ending, Json, ProcessIdentity, RunRequest
from jobd.core.retention import KEY_HELD
from jobd.core.spans import from_micros, from_micros_if, micros, micros_if
from jobd.core.states import Outcome, RunState, Trigger
from jobd.core.trace import Trace
from jobd.core.unique import Claim, claim
from jobd.store import limits
from jobd.store.connection import Transaction

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class JobRef:
    """Where a job and its definition stand in the store."""

    job: int
    spec: int


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


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The run of an attempt that is under way."""

    job: int
    job_name: str
    spec: int
    queue: str
    trigger: Trigger
    max_attempts: int
    spent: int
    """Attempts that count, this one included."""
    cancelling: bool
    reserved_at: datetime
    newest_spec: int | None
    """The definition that is in force for its job, or was last; None for an ad-hoc run."""
    deadline: datetime | None
    """When the time of all its attempts is over; None where that has no end."""


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
        (first + n, _encode(request.payload)) for n, (request, _) in enumerate(requests) if request.payload is not None
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


def promote(tx: Transaction, most: int = 1000) -> int:
    """Let runs wait for a worker whose time has come; how many were promoted, at most `most`."""
    return len(tx.rows("promote", {"now": tx.at, "most": most}))


def unfinished_of(tx: Transaction, job: int, most: int) -> list[int]:
    """Runs of a job that wait, or run and are not being ended, at most so many."""
    return [row[0] for row in tx.rows("unfinished_of", {"job": job, "most": most})]


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


def note_child(tx: Transaction, key: AttemptKey, child: ProcessIdentity, started_at: datetime) -> None:
    """Remember the process of an attempt, for a supervisor that has to judge it after a crash."""
    bindings = {"run": key.run, "attempt": key.attempt, "pid": child.pid, "ticks": child.start_ticks}
    tx.run("note_child", bindings | {"started_at": micros(started_at)})


def under_way(tx: Transaction, key: AttemptKey) -> UnderWay | None:
    """The run of an attempt, or None where that attempt is not the one under way any more."""
    row = tx.row("under_way", {"run": key.run, "attempt": key.attempt})
    if row is None:
        return None
    job, name, spec, queue, trigger, most, spent, cancelling, reserved_at, newest, deadline = row
    return UnderWay(
        job=job,
        job_name=name.strip(),
        spec=spec,
        queue=queue,
        trigger=Trigger(trigger),
        max_attempts=most,
        spent=spent,
        cancelling=bool(cancelling),
        reserved_at=from_micros(reserved_at),
        newest_spec=newest,
        deadline=from_micros_if(deadline),
    )


def close_attempt(tx: Transaction, key: AttemptKey, ending: Ending) -> None:
    """Write down how an attempt ended; an ending that is there already stays as it is."""
    usage = ending.usage
    tx.run(
        "close_attempt",
        {
            "run": key.run,
            "attempt": key.attempt,
            "started_at": micros_if(ending.started_at),
            "finished_at": micros(ending.finished_at or tx.now),
            "outcome": ending.outcome,
            "exit_code": ending.exit_code,
            "signal": ending.signal,
            "error": ending.error,
            "cpu_user": usage.cpu_user_seconds,
            "cpu_system": usage.cpu_system_seconds,
            "peak_memory": usage.peak_memory_bytes,
            "stdout_bytes": usage.stdout_bytes,
            "stderr_bytes": usage.stderr_bytes,
            "output_cut": int(usage.output_cut),
            "leftovers": usage.leftovers,
            "progress": ending.progress,
            "status_text": ending.status_text or None,
            "io_read": usage.io_read_bytes,
            "io_written": usage.io_written_bytes,
            "context_switches": usage.context_switches,
            "snapshot": json.dumps([astuple(seen) for seen in ending.snapshot]) if ending.snapshot else None,
        },
    )


def end(tx: Transaction, key: AttemptKey, state: RunState, ending: Ending, error: str | None) -> bool:
    """Give the run of an attempt its final state; False where that attempt is not the one under way any more."""
    bindings = _after(key, ending, error) | {
        "state": state,
        "started_at": micros_if(ending.started_at),
        "finished_at": micros(ending.finished_at or tx.now),
    }
    tx.run("end_run", bindings)
    if not tx.changed():
        return False
    if ending.result is not None:
        keep_result(tx, key.run, ending.result)
    return True


def run_again(
    tx: Transaction, key: AttemptKey, at: datetime, ending: Ending, error: str | None, *, counts: bool
) -> bool:
    """Let the run of an attempt wait for another one; False where that attempt is not the one under way any more."""
    due = micros(at)
    waits = RunState.RETRYING if due > tx.at else RunState.QUEUED
    bindings = _after(key, ending, error) | {"state": waits, "run_at": due, "given_back": int(not counts)}
    bindings["started"] = int(ending.started_at is not None)
    tx.run("rerun", bindings)
    return bool(tx.changed())


def carry(tx: Transaction, stepped: timedelta) -> None:
    """Keep the spans of what is under way over a wall clock that was set: waits, cooldowns and attempts."""
    for what in ("buckets", "circuits", "retries", "expiring", "deadlines", "running", "attempts"):
        tx.run(f"carry_{what}", {"stepped": stepped // timedelta(microseconds=1), "now": tx.at})


def _after(key: AttemptKey, ending: Ending, error: str | None) -> dict[str, object]:
    return {
        "run": key.run,
        "attempt": key.attempt,
        "outcome": ending.outcome,
        "exit_code": ending.exit_code,
        "error": error,
    }


def keep_result(tx: Transaction, run: int, result: Json) -> None:
    """Keep what a run gave back."""
    tx.run("keep_result", {"run": run, "result": _encode(result)})


def note_last(tx: Transaction, job: int, run: int, state: RunState, ending: Ending | None) -> None:
    """Remember how the latest run of a job ended; None for one that never had an attempt."""
    tx.run(
        "note_last",
        {
            "job": job,
            "run": run,
            "state": state,
            "outcome": ending.outcome if ending else None,
            "exit_code": ending.exit_code if ending else None,
            "finished_at": micros(ending.finished_at or tx.now) if ending else tx.at,
            "now": tx.at,
        },
    )


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A waiting run that was just ended."""

    job_name: str
    queue: str


def cancel_waiting(tx: Transaction, run: int, reason: str) -> EndedRun | None:
    """End a run that waits; None where it does not wait (any more)."""
    row = tx.row("cancel_waiting", {"run": run, "now": tx.at, "error": reason})
    if row is None:
        return None
    job, name, queue = row
    if job != 0:
        note_last(tx, job, run, RunState.CANCELLED, Ending(Outcome.CANCELLED))
    return EndedRun(name.strip(), queue)


def cancel_running(tx: Transaction, run: int, reason: str) -> AttemptKey | None:
    """Remember that a run is to be ended, and say which attempt is to be killed for it."""
    row = tx.row("cancel_running", {"run": run, "error": reason})
    return None if row is None else AttemptKey(run, row[0])


def retry(tx: Transaction, run: int) -> RunState | None:
    """Queue a run again that ended failed or cancelled; the state it has then, None where it is in another one."""
    row = tx.row("retry_run", {"run": run, "now": tx.at})
    return None if row is None else RunState(row[0])


def skip(tx: Transaction, run: int, reason: str) -> EndedRun | None:
    """End an accepted run that is not to be executed; None where it runs or has ended."""
    row = tx.row("skip_run", {"run": run, "now": tx.at, "error": reason})
    return None if row is None else EndedRun(str(row[0]).strip(), row[1])


def replace_payload(tx: Transaction, run: int, payload: Json) -> None:
    """Give a run another payload before it is tried again."""
    tx.run("replace_payload", {"run": run, "payload": _encode(payload)})


def state_of(tx: Transaction, run: int) -> tuple[RunState, str | None] | None:
    """The state and the owner of a run, or None where there is none of that id."""
    row = tx.row("state_of", {"run": run})
    return None if row is None else (RunState(row[0]), row[1])


def ref_of(tx: Transaction, run: int) -> JobRef | None:
    """The job of a run and the definition it was accepted under."""
    row = tx.row("ref_of_run", {"run": run})
    return None if row is None else JobRef(*row)


def jobs_named(tx: Transaction, pattern: str) -> list[tuple[int, str]]:
    """The jobs that the store knows by names like a pattern (`*` is anything): id and name."""
    return [(job, name) for job, name in tx.rows("jobs_named", {"pattern": pattern})]


def redefine_waiting(tx: Transaction, ref: JobRef) -> None:
    """Let the runs of a job that wait go by another definition than the one they were accepted under."""
    tx.run("redefine_waiting", {"job": ref.job, "spec": ref.spec})

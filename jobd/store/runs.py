"""What becomes of a run once it is taken: how its attempts end, and its cancel, retry and skip."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta

from jobd.core.model import AttemptKey, Ending, Json, ProcessIdentity
from jobd.core.spans import from_micros, from_micros_if, micros, micros_if
from jobd.core.states import Outcome, RunState, Trigger
from jobd.store.connection import Transaction
from jobd.store.submits import JobRef, encode


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


def unfinished_of(tx: Transaction, job: int, most: int) -> list[int]:
    """Runs of a job that wait, or run and are not being ended, at most so many."""
    return [row[0] for row in tx.rows("unfinished_of", {"job": job, "most": most})]


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
    tx.run("keep_result", {"run": run, "result": encode(result)})


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

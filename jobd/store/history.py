"""Read-only questions to the store, each answered from one committed state on a connection of its own."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from jobd.core import spec as specs
from jobd.core.audit import Kept
from jobd.core.buckets import Level
from jobd.core.holds import Circuit, Holds, Pause
from jobd.core.lateness import Check, Late
from jobd.core.ledger import Terms
from jobd.core.model import AttemptKey, Command, Job, Json, Seen, Shell, Usage
from jobd.core.names import ADHOC
from jobd.core.queues import QueueSet
from jobd.core.records import (
    AttemptRecord,
    DeadFigures,
    DeadFilter,
    DeadLetter,
    Death,
    JobCounts,
    JobStanding,
    Kinship,
    QueueFigures,
    Remembered,
    RunFilter,
    RunRecord,
    SlotRecord,
    Wait,
)
from jobd.core.spans import from_micros, from_micros_if, micros, micros_if
from jobd.core.states import Disposition, Outcome, RunState, Trigger
from jobd.core.stats import Sample
from jobd.core.trace import Trace
from jobd.core.tracing import Traced
from jobd.store import audit, dead, holds, kin, limits, slots, traces
from jobd.store.connection import Connection
from jobd.store.retention import FINISHED_BUCKET

_ADHOC = " adhoc"
"""What the store calls the job of ad-hoc runs: no job can have this name."""
_NO_CURSOR = 2**62
_IDLE = (0, 0)
_ALL = -1
_MOST_LANES = 10_000


def _json(text: bytes | None) -> Json:
    """Stored JSON as a value; what cannot be read is shown as it is, so that one bad row spoils no listing."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text.decode("utf-8", "replace")


class History:
    """Questions to a database file; every one reads a single snapshot and lets it go again."""

    def __init__(self, path: str) -> None:
        self._connection = Connection(path, readonly=True)
        self._standings: dict[str, tuple[tuple[Any, ...], JobStanding]] = {}
        """What was made of which row when somebody last asked: most jobs have not changed since."""

    def close(self) -> None:
        self._connection.close()

    def _rows(self, name: str, bindings: Any = ()) -> list[tuple[Any, ...]]:
        return self._connection.run(name, bindings).fetchall()

    def run(self, run: int) -> RunRecord | None:
        """One run, or None."""
        rows = self._rows("run_columns", {"run": run})
        return _run(rows[0]) if rows else None

    def definition(self, run: int) -> Job | None:
        """What a run was accepted under; None where there is no such run."""
        rows = self._rows("definition_of_run", {"run": run})
        return specs.from_text(rows[0][0]) if rows else None

    def runs(self, which: RunFilter) -> tuple[list[RunRecord], int | None]:
        """The runs asked for, newest first, and the cursor of the next page where there is one."""
        bindings = {
            "before": which.before if which.before is not None else _NO_CURSOR,
            "states": json.dumps(which.states) if which.states else None,
            "queue": which.queue,
            "since": micros_if(which.since),
            "limit": which.limit + 1,
        }
        if which.job is None:
            rows = self._rows("list_runs", bindings)
        else:
            rows = self._rows("list_runs_of_job", bindings | {"job": _stored_name(which.job)})
        found = [_run(row) for row in rows[: which.limit]]
        return found, found[-1].id if len(rows) > which.limit else None

    def attempts(self, run: int) -> list[AttemptRecord]:
        """Every attempt of a run, first to last."""
        return [_attempt(row) for row in self._rows("attempts", {"run": run})]

    def traced(self, run: int) -> traces.RunFacts | None:
        """What the spans of a run are made of; None where it is not kept any more."""
        return traces.facts(self._rows, run)

    def traced_parents(self, run: int) -> list[Traced]:
        """The runs that a run has waited for, as their spans know them."""
        return traces.parents(self._rows, run)

    def span_of(self, key: AttemptKey) -> tuple[datetime, datetime | None] | None:
        """From when to when an attempt was under way."""
        return traces.attempt(self._rows, key)

    def holds(self, job: str | None = None) -> dict[str, Holds]:
        """What keeps jobs in force back: all of them, or the one of this name."""
        return holds.of_jobs(self._rows, job)

    def paused_queues(self) -> dict[str, Pause]:
        """The pauses of queues by name, in force or over; `EVERYTHING` stands for all queues and jobs."""
        return holds.of_queues(self._rows)

    def standings(self) -> dict[str, JobStanding]:
        """What is remembered of every job in force; the same object as the last time where nothing has changed."""
        self._standings = now = self._standings_of(_ALL)
        return {name: standing for name, (_, standing) in now.items()}

    def first_standings(self, most: int) -> dict[str, JobStanding]:
        """The same of so many jobs, the first by name."""
        now = self._standings_of(most)
        self._standings.update(now)
        return {name: standing for name, (_, standing) in now.items()}

    def _standings_of(self, most: int) -> dict[str, tuple[tuple[Any, ...], JobStanding]]:
        active = {job: (waiting, running) for job, waiting, running in self._rows("active_counts")}
        before, now = self._standings, {}
        for row in self._rows("standings", {"most": most}):
            whole = (*row, *active.get(row[0], _IDLE))
            known = before.get(row[1])
            now[row[1]] = known if known is not None and known[0] == whole else (whole, _standing(whole))
        return now

    def standing(self, job: str) -> JobStanding | None:
        """What is remembered of one job; None where it is not in force."""
        rows = self._rows("standing", {"name": job})
        return _standing((*rows[0], *self._rows("active_count", {"job": rows[0][0]})[0])) if rows else None

    def job_counts(self) -> JobCounts:
        """How many of the jobs in force failed last, are paused, are kept back by their circuit."""
        return JobCounts(*self._rows("job_counts")[0])

    def queues(self, now: datetime) -> dict[str, QueueFigures]:
        """The figures of every queue that ever held a run."""
        counts: dict[str, dict[RunState, int]] = {}
        for queue, state, count in self._rows("queue_counts"):
            counts.setdefault(queue, {})[RunState(state)] = count
        oldest = dict(self._rows("oldest_waiting", {"most": _MOST_LANES}))
        buried = dict(self._rows("dead_counts"))
        since = micros(now - timedelta(hours=24)) // FINISHED_BUCKET
        day = {row[0]: row[1:] for row in self._rows("finished_since", {"since": since})}
        return {
            queue: _queue(queue, states, oldest.get(queue), buried.get(queue, 0), *day.get(queue, (0, 0, 0, None)))
            for queue, states in counts.items()
        }

    def dead_letters(self, which: DeadFilter) -> tuple[list[DeadLetter], int | None]:
        """Open dead letters, the latest run first, and the cursor of the next page where there is one."""
        before = _NO_CURSOR if which.before is None else which.before
        rows = self._rows("list_dead", dead.bindings(which) | {"before": before, "limit": which.limit + 1})
        found = [_dead(row) for row in rows[: which.limit]]
        return found, found[-1].run if len(rows) > which.limit else None

    def dead_figures(self) -> list[DeadFigures]:
        """How many dead letters wait, by queue and job."""
        return [
            DeadFigures(queue, job.strip(), count, from_micros(oldest), from_micros(newest))
            for queue, job, count, oldest, newest in self._rows("dead_figures")
        ]

    def deaths(self, run: int) -> list[Death]:
        """Every time a run became a dead letter, first to last."""
        return [_death(row) for row in self._rows("deaths", {"run": run})]

    def waits(self, run: int) -> tuple[Wait, ...]:
        """The runs that a run waits for, or waited for."""
        return kin.waits(self._rows("edges_into", {"child": run}))

    def kin(self, run: int, most: int = 500) -> Kinship:
        """The runs that hang together with a run, itself among them, and what waits for what; none where it is not."""
        found = kin.relatives(self._rows("relatives", {"run": run, "most": most + 1}))
        near = tuple(sorted(found[:most], key=lambda one: one.id))
        links = kin.links(self._rows("edges_among", {"runs": json.dumps([one.id for one in near])}))
        return Kinship(near, links, is_cut=len(near) < len(found))

    def slots(
        self,
        job: str | None,
        start: datetime | None,
        end: datetime | None,
        limit: int,
        cursor: str | None,
        disposition: Disposition | None = None,
    ) -> tuple[list[SlotRecord], str | None]:
        """What became of due slots from `start` up to before `end`, newest first, and the next page's cursor.

        A page of one disposition may be short, and yet have a next one: no question looks at more than so many rows.
        Raises ValueError for a bad cursor.
        """
        return slots.page(self._rows, job, start, end, limit, cursor, disposition)

    def slots_from(self, job: str, start: datetime, limit: int) -> list[SlotRecord]:
        """What became of the first due slots of a job at and after an instant, oldest first."""
        rows = self._rows("next_slots_of_job", {"job": job, "start": micros(start), "limit": limit})
        return [slots.record(row) for row in rows]

    def running_in(self, queue: str) -> tuple[int, ...]:
        """The runs of a queue that are under way, oldest first."""
        return tuple(row[0] for row in self._rows("running_in_queue", {"queue": queue}))

    def terms_of(self, run: int) -> Terms:
        """What binds a run beside its queue."""
        return limits.terms_of(self._rows, run)

    def levels(self) -> dict[str, Level]:
        """What every bucket of a rate limit held last, `queue:NAME` or `job:ID`."""
        return limits.levels(self._rows)

    def taken(self) -> dict[int, dict[str, int]]:
        """What each run under way has taken of resources."""
        return limits.taken(self._rows)

    def queue_settings(self) -> dict[str, QueueSet]:
        """What operators set of queues in place of jobd.yaml's words."""
        return limits.queue_settings(self._rows)

    def active_of(self, job: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The runs of a job that wait and those that are under way, oldest first."""
        rows = self._rows("active_of_job", {"job": job})
        return tuple(run for run, runs in rows if not runs), tuple(run for run, runs in rows if runs)

    def ahead_of(self, run: RunRecord, most: int = 1000) -> int | None:
        """How many runs of its lane are served before a queued one; None where it is not among the first `most`."""
        rows = self._rows("front_of_lane", {"run": run.id, "queue": run.queue, "most": most})
        return next((place for place, row in enumerate(rows) if row[0] == run.id), None)

    def audit(self, before: int | None, since: datetime | None, user: str | None, limit: int) -> list[Kept]:
        """Entries of the audit trail below a number, newest first."""
        since_ = 0 if since is None else micros(since)
        bindings = {"before": before or _NO_CURSOR, "since": since_, "user": user, "limit": limit}
        return [audit.kept(row) for row in self._rows("list_audit", bindings)]

    def audit_after(self, number: int, limit: int) -> list[Kept]:
        """Entries of the audit trail above a number, oldest first."""
        return [audit.kept(row) for row in self._rows("audit_after", {"after": number, "limit": limit})]

    def audit_anchor(self) -> bytes:
        """What the oldest entry of the audit trail is linked to."""
        rows = self._rows("meta", {"key": audit.ANCHOR})
        return bytes.fromhex(rows[0][0]) if rows else b""

    def durations(self, job: str, most: int = 100) -> list[float]:
        """The seconds that the successful ones of the last `most` runs of a job took."""
        rows = self._rows("durations", {"job": job, "most": most})
        return [max(0, row[0]) / 1e6 for row in rows]

    def samples(
        self, job: str | None, since: datetime, before: int | None, limit: int
    ) -> tuple[list[Sample], int | None]:
        """What counts of those of the newest `limit` runs below an id that were accepted since an instant.

        Also the id to go on below, None where nothing older is of the span.
        """
        bindings = {"since": micros(since), "before": _NO_CURSOR if before is None else before, "limit": limit}
        if job is None:
            rows = self._rows("samples", bindings)
        else:
            rows = self._rows("samples_of_job", bindings | {"job": _stored_name(job)})
        found = [_sample(*row[2:]) for row in rows if row[1]]
        return found, rows[-1][0] if found and len(rows) == limit else None

    def remembered(self, job: str) -> Remembered | None:
        """What the store remembers of a job, in force or not."""
        rows = self._rows("remembered", {"name": job})
        if not rows:
            return None
        first, watermark, last_slot, removed = rows[0]
        return Remembered(
            from_micros(first), from_micros(watermark), from_micros_if(last_slot), from_micros_if(removed)
        )


def _sample(job: str, queue: str, state: str, *figures: Any) -> Sample:
    return Sample(job.strip(), queue, RunState(state), *figures)


def _stored_name(job: str) -> str:
    return _ADHOC if job == ADHOC else job


def _run(row: tuple[Any, ...]) -> RunRecord:
    (
        run, job, state, queue, priority, payload, result, error, attempts, most, trigger, slot, run_at, created,
        started, finished, exit_code, outcome, key, parent, owner, digest, text, cancelling, expires_at,
        traceparent, tracestate,
    ) = row  # fmt: skip
    adhoc = job == _ADHOC
    return RunRecord(
        id=run,
        job=job.strip(),
        state=RunState(state),
        queue=queue,
        priority=priority,
        payload=_json(payload),
        result=_json(result),
        error=error,
        attempts=attempts,
        max_attempts=most,
        trigger=Trigger(trigger),
        slot=from_micros_if(slot),
        run_at=from_micros(run_at),
        created_at=from_micros(created),
        started_at=from_micros_if(started),
        finished_at=from_micros_if(finished),
        exit_code=exit_code,
        outcome=None if outcome is None else Outcome(outcome),
        key=key,
        parent=parent,
        owner=owner,
        spec_version=digest[:12],
        adhoc=adhoc,
        cancelling=bool(cancelling),
        argv=_argv(text) if adhoc else None,
        expires_at=from_micros_if(expires_at),
        trace=None if traceparent is None else Trace(traceparent, tracestate or ""),
    )


def _argv(text: str) -> tuple[str, ...] | None:
    match specs.from_text(text).action:
        case Command(argv):
            return argv
        case Shell(script):
            return ("/bin/sh", "-c", script)
        case _:
            return None


def _attempt(row: tuple[Any, ...]) -> AttemptRecord:
    run, attempt, reserved, started, finished, outcome, exit_code, signal, error, worker, child, *more = row
    snapshot, progress, said, *usage = more
    return AttemptRecord(
        run=run,
        attempt=attempt,
        reserved_at=from_micros(reserved),
        started_at=from_micros_if(started),
        finished_at=from_micros_if(finished),
        outcome=None if outcome is None else Outcome(outcome),
        exit_code=exit_code,
        signal=signal,
        error=error,
        worker_pid=worker,
        pid=child,
        usage=None if usage[0] is None else _usage(*usage),
        progress=progress,
        status_text=said or "",
        snapshot=tuple(Seen(*values) for values in json.loads(snapshot)) if snapshot else (),
    )


def _usage(user: float, system: float, peak: int, stdout: int, stderr: int, cut: int, *counts: int) -> Usage:
    return Usage(user, system, peak, stdout, stderr, bool(cut), *counts)


def _standing(row: tuple[Any, ...]) -> JobStanding:
    (
        _, name, first, watermark, last_slot, last_run, state, outcome, exit_code, finished, success, failure,
        paused, at, until, by, note, failures, opens, trial, late, waiting, running,
    ) = row  # fmt: skip
    pause = holds.pause_of(paused, at, until, by, note)
    return JobStanding(
        name=name,
        first_seen_at=from_micros(first),
        watermark=from_micros(watermark),
        last_slot=from_micros_if(last_slot),
        last_run=last_run,
        last_state=None if state is None else RunState(state),
        last_outcome=None if outcome is None else Outcome(outcome),
        last_exit_code=exit_code,
        last_finished_at=from_micros_if(finished),
        last_success_at=from_micros_if(success),
        last_failure_at=from_micros_if(failure),
        waiting=waiting,
        running=running,
        pause=pause if pause is not None and pause.in_force else None,
        circuit=Circuit(failures, from_micros_if(opens), trial),
        late=_late(late),
    )


def _late(text: str) -> tuple[Late, ...]:
    if text == "[]":
        return ()
    known = set(Check) - {Check.TIMEOUT}
    return tuple(Late(Check(kind), from_micros(since), run) for kind, since, run in json.loads(text) if kind in known)


def _dead(row: tuple[Any, ...]) -> DeadLetter:
    run, job, queue, reason, died_at, attempts, outcome, exit_code, owner = row
    return DeadLetter(
        run=run,
        job=job.strip(),
        queue=queue,
        reason=reason,
        died_at=from_micros(died_at),
        attempts=attempts,
        outcome=None if outcome is None else Outcome(outcome),
        exit_code=exit_code,
        owner=owner,
    )


def _death(row: tuple[Any, ...]) -> Death:
    reason, died_at, attempts, queue, acted_at, action, acted_by = row
    return Death(reason, from_micros(died_at), attempts, queue, from_micros_if(acted_at), action, acted_by)


def _queue(
    name: str,
    counts: dict[RunState, int],
    oldest: int | None,
    dead_letters: int,
    executions: int,
    succeeded: int,
    failed: int,
    average: float | None,
) -> QueueFigures:
    return QueueFigures(
        name=name,
        counts=counts,
        oldest_waiting_at=from_micros_if(oldest),
        executions_24h=executions,
        succeeded_24h=succeeded,
        failed_24h=failed,
        average_seconds_24h=average,
        dead_letters=dead_letters,
    )

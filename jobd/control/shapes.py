"""How records look as JSON: the field names of the control API, times as RFC 3339 in UTC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from jobd.control.ports import Coming, DefinedJob, Overview, QueueLimits, Reloaded
from jobd.core import lateness
from jobd.core.audit import Kept
from jobd.core.buckets import Use
from jobd.core.holds import Circuit, Pause
from jobd.core.lateness import Late
from jobd.core.model import Job, Seen, Workflow
from jobd.core.queues import NO_LIMITS
from jobd.core.records import (
    AttemptRecord,
    DeadFigures,
    DeadLetter,
    Death,
    JobCounts,
    JobStanding,
    QueueFigures,
    RunRecord,
    SlotRecord,
)
from jobd.core.spans import rfc3339
from jobd.core.states import FINAL, WAITING, RunState

SCHEMA_VERSION = 1

_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode(value: Any) -> bytes:
    """JSON as UTF-8; half a surrogate pair, which bytes of a job can leave in a text, becomes its JSON escape."""
    return _dumps(value).encode("utf-8", "backslashreplace")


def time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def run(record: RunRecord, *, contents: bool) -> dict[str, Any]:
    """A run; without `contents` what belongs to its submitter alone is null, as if it were not there."""
    shown: dict[str, Any] = {
        "id": record.id,
        "job": record.job,
        "state": record.state,
        "queue": record.queue,
        "priority": record.priority,
        "payload": record.payload if contents else None,
        "result": record.result if contents else None,
        "error": record.error if contents else None,
        "attempts": record.attempts,
        "max_attempts": record.max_attempts,
        "trigger": record.trigger,
        "slot": time(record.slot),
        "run_at": time(record.run_at),
        "expires_at": time(record.expires_at),
        "created_at": time(record.created_at),
        "started_at": time(record.started_at),
        "finished_at": time(record.finished_at),
        "duration": record.duration_seconds,
        "exit_code": record.exit_code,
        "outcome": record.outcome,
        "key": record.key if contents else None,
        "parent": record.parent,
        "owner": record.owner,
        "spec_version": record.spec_version,
        "adhoc": record.adhoc,
        "cancelling": record.cancelling,
        "traceparent": record.trace.parent if contents and record.trace else None,
        "tracestate": (record.trace.state or None) if contents and record.trace else None,
        "command": list(record.argv) if contents and record.argv is not None else None,
    }
    return shown


def attempt(record: AttemptRecord, *, contents: bool) -> dict[str, Any]:
    ended = record.started_at is not None and record.finished_at is not None
    usage = record.usage
    return {
        "run": record.run,
        "attempt": record.attempt,
        "reserved_at": time(record.reserved_at),
        "started_at": time(record.started_at),
        "finished_at": time(record.finished_at),
        "duration": (record.finished_at - record.started_at).total_seconds() if ended else None,  # type: ignore[operator]
        "outcome": record.outcome,
        "exit_code": record.exit_code,
        "signal": record.signal,
        "error": record.error if contents else None,
        "worker_pid": record.worker_pid,
        "pid": record.pid,
        "usage": None
        if usage is None
        else {
            "cpu_user_seconds": usage.cpu_user_seconds,
            "cpu_system_seconds": usage.cpu_system_seconds,
            "peak_memory_bytes": usage.peak_memory_bytes,
            "stdout_bytes": usage.stdout_bytes,
            "stderr_bytes": usage.stderr_bytes,
            "output_cut": usage.output_cut,
            "leftovers": usage.leftovers,
            "io_read_bytes": usage.io_read_bytes,
            "io_written_bytes": usage.io_written_bytes,
            "context_switches": usage.context_switches,
        },
        "progress": record.progress,
        "status_text": (record.status_text or None) if contents else None,
        "snapshot": [_seen(one) for one in record.snapshot] if contents else None,
    }


def _seen(process: Seen) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "parent": process.parent,
        "name": process.name,
        "state": process.state,
        "wchan": process.wchan,
        "command": process.command,
    }


def job(defined: DefinedJob, standing: JobStanding | None) -> dict[str, Any]:
    """A job in a listing: what it is, when it is due, how it last went."""
    made = defined.job
    return {
        "name": made.name,
        "description": made.description,
        "enabled": made.enabled,
        "tags": list(made.tags),
        "owner": made.owner,
        "kind": made.action.kind,
        "schedule": list(made.schedule.expressions),
        "timezone": defined.timezone,
        "next_at": time(defined.next_at),
        "workflow": _workflow(made.workflow),
        "queue": made.queue,
        "priority": made.priority,
        "max_running": made.max_running,
        "timeout": made.timeout_seconds,
        "user": made.user,
        "file": defined.file,
        "line": defined.line,
        "running": standing.running if standing else 0,
        "waiting": standing.waiting if standing else 0,
        "last": _last(standing) if standing else None,
        "last_slot": time(standing.last_slot) if standing else None,
        "last_success_at": time(standing.last_success_at) if standing else None,
        "last_failure_at": time(standing.last_failure_at) if standing else None,
        "paused": pause(standing.pause) if standing else None,
        "circuit": _circuit(standing.circuit) if standing and made.circuit_breaker else None,
        "late": [_late(one, made) for one in standing.late] if standing else [],
    }


def _late(one: Late, made: Job) -> dict[str, Any]:
    """A check of `expect` that fails: which, since when, for which run (null: none in particular), in words."""
    return {"check": one.check, "since": time(one.since), "run": one.run, "detail": lateness.in_words(one, made)}


def pause(held: Pause | None) -> dict[str, Any] | None:
    """A pause in force: since when, until when (null: until somebody resumes), by whom and why."""
    if held is None or not held.in_force:
        return None
    return {"at": time(held.at), "until": time(held.until), "by": held.by, "note": held.note}


def _circuit(circuit: Circuit) -> dict[str, Any]:
    return {"open": circuit.until is not None, "until": time(circuit.until), "failures": circuit.failures}


def _workflow(flow: Workflow) -> dict[str, list[str]]:
    """The jobs whose runs come with a run, by the words of the YAML; only the words that are used."""
    named = {
        "needs": flow.needs,
        "then": flow.then,
        "chain": flow.chain,
        "catch": flow.catch,
        "finally": flow.finally_,
    }
    return {word: list(names) for word, names in named.items() if names}


def definition(defined: DefinedJob) -> dict[str, Any]:
    """What `cat` shows beside the listing: the effective definition and where each value comes from."""
    return {"definition": dict(defined.document), "sources": dict(defined.sources)}


def _last(standing: JobStanding) -> dict[str, Any] | None:
    if standing.last_run is None:
        return None
    return {
        "run": standing.last_run,
        "state": standing.last_state,
        "outcome": standing.last_outcome,
        "exit_code": standing.last_exit_code,
        "finished_at": time(standing.last_finished_at),
    }


def queue(
    name: str, limits: QueueLimits | None, figures: QueueFigures | None, held: Pause | None, now: datetime
) -> dict[str, Any]:
    counts: Mapping[RunState, int] = figures.counts if figures else {}
    oldest = figures.oldest_waiting_at if figures else None
    return {
        "name": name,
        "declared": limits is not None,
        **(limits.limits if limits else NO_LIMITS).words,
        "rate_limit_usage": _use(limits.use) if limits and limits.use else None,
        "overrides": _overrides(limits) if limits else None,
        "draining": bool(limits and limits.asked and limits.asked.is_draining),
        "pending": sum(counts.get(state, 0) for state in WAITING),
        "processing": counts.get(RunState.RUNNING, 0),
        "completed": counts.get(RunState.SUCCEEDED, 0),
        "failed": counts.get(RunState.FAILED, 0),
        "dead_letters": figures.dead_letters if figures else 0,
        "paused": pause(held),
        "states": {state.value: number for state, number in sorted(counts.items())},
        "oldest_waiting_seconds": None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        "last_24h": {
            "executions": figures.executions_24h if figures else 0,
            "succeeded": figures.succeeded_24h if figures else 0,
            "failed": figures.failed_24h if figures else 0,
            "average_seconds": figures.average_seconds_24h if figures else None,
        },
    }


def _use(use: Use) -> dict[str, Any]:
    """How many starts of the burst are used up, and when the next token is there."""
    return {**use.words, "tokens": round(use.held.tokens, 3), "next_at": time(use.next_at)}


def _overrides(limits: QueueLimits) -> dict[str, Any] | None:
    """What was set of a queue, when and by whom, and what jobd.yaml says of the same."""
    if limits.asked is None:
        return None
    declared = {key: value for key, value in limits.declared.words.items() if key in limits.asked.settings}
    return {
        "set": dict(limits.asked.settings),
        "declared": declared,
        "at": time(limits.asked.at),
        "by": limits.asked.by,
    }


def queues(
    limits: Mapping[str, QueueLimits], figures: Mapping[str, QueueFigures], held: Mapping[str, Pause], now: datetime
) -> list[dict[str, Any]]:
    """Every queue that is declared or holds runs, by name."""
    names = sorted(limits.keys() | figures.keys())
    return [queue(name, limits.get(name), figures.get(name), held.get(name), now) for name in names]


def dead_letter(record: DeadLetter, *, contents: bool) -> dict[str, Any]:
    return {
        "run": record.run,
        "job": record.job,
        "dlq_reason": record.reason if contents else None,
        "dlq_timestamp": time(record.died_at),
        "dlq_attempts": record.attempts,
        "original_queue": record.queue,
        "outcome": record.outcome,
        "exit_code": record.exit_code,
        "owner": record.owner,
    }


def audited(kept: Kept) -> dict[str, Any]:
    """An entry of the audit trail; `digest` is its link in the chain, as hexadecimal digits."""
    entry = kept.entry
    return {
        "id": kept.id,
        "at": time(entry.at),
        "uid": entry.uid,
        "user": entry.user,
        "pid": entry.pid,
        "executable": entry.executable,
        "did": entry.did,
        "on": entry.on,
        "result": entry.result,
        "detail": entry.detail,
        "times": entry.times,
        "digest": kept.digest.hex(),
    }


def death(record: Death, *, contents: bool) -> dict[str, Any]:
    """One time a run became a dead letter: how it came to that, and what was done about it."""
    return {
        "dlq_reason": record.reason if contents else None,
        "dlq_timestamp": time(record.died_at),
        "dlq_attempts": record.attempts,
        "original_queue": record.queue,
        "action": record.action,
        "acted_at": time(record.acted_at),
        "acted_by": record.acted_by,
    }


def dead_figures(figures: DeadFigures) -> dict[str, Any]:
    return {
        "queue": figures.queue,
        "job": figures.job,
        "count": figures.count,
        "oldest": time(figures.oldest_at),
        "newest": time(figures.newest_at),
    }


def slot(record: SlotRecord) -> dict[str, Any]:
    return {
        "job": record.job,
        "slot": time(record.slot),
        "disposition": record.disposition,
        "run": record.run,
        "reason": record.reason,
        "state": record.run_state,
        "outcome": record.run_outcome,
        "exit_code": record.run_exit_code,
    }


def coming(found: Coming, zone: tzinfo | None) -> dict[str, Any]:
    """A coming slot, in UTC and on the wall clock of its job's time zone."""
    local = found.at.astimezone(zone).isoformat()
    return {"job": found.job, "at": time(found.at), "local": local, "remark": found.remark}


def reloaded(change: Reloaded) -> dict[str, Any]:
    return {
        "added": list(change.added),
        "changed": list(change.changed),
        "removed": list(change.removed),
        "problems": list(change.problems),
        "settings": list(change.settings),
        "restart_needed": list(change.restart_needed),
        "dry_run": change.dry_run,
    }


def job_counts(counts: JobCounts, total: int) -> dict[str, int]:
    """How many jobs are in force, and how many of them need somebody to look."""
    return {
        "total": total,
        "failed": counts.failed,
        "paused": counts.paused,
        "circuit_open": counts.circuit_open,
        "late": counts.late,
    }


def overview(seen: Overview) -> dict[str, Any]:
    """The daemon itself, as `status` shows it above jobs and queues."""
    workers = [
        {
            "number": worker.number,
            "pid": worker.pid,
            "state": worker.state,
            "run": worker.run,
            "attempt": worker.attempt,
            "since": time(worker.since),
        }
        for worker in seen.workers
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "version": seen.version,
        "pid": seen.pid,
        "started_at": time(seen.started_at),
        "now": time(seen.now),
        "uptime_seconds": (seen.now - seen.started_at).total_seconds(),
        "healthy": not seen.degraded,
        "draining": seen.draining,
        "degraded": [{"reason": reason, "detail": detail} for reason, detail in seen.degraded],
        "problems": list(seen.problems),
        "last_reload": {"at": time(seen.last_reload_at), "ok": seen.last_reload_ok},
        "timezone": seen.timezone,
        "socket": seen.socket,
        "state_dir": seen.state_dir,
        "metrics_address": seen.metrics_address,
        "containment": seen.containment,
        "runs_as": seen.runs_as,
        "workers": {"max": seen.workers_max, "busy": sum(w.run is not None for w in seen.workers), "items": workers},
    }


def is_final(record: RunRecord) -> bool:
    return record.state in FINAL

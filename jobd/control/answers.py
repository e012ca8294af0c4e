"""What answers of the API look like, as JSON Schema: told in the description of the API and to readers of `--json`.

A key that stands here stays, with its type; others may come beside it.
"""

from __future__ import annotations

from typing import Any

from jobd.core.states import Condition, Disposition, Outcome, RunState, Trigger

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANY: Schema = {}
OBJECT: Schema = {"type": "object"}


def shape(**keys: Schema) -> Schema:
    """An object in which all of these keys are always there."""
    return {"type": "object", "properties": keys, "required": list(keys)}


def beside(base: Schema, **keys: Schema) -> Schema:
    """The same with more keys that are always there."""
    return shape(**base["properties"], **keys) | {"required": [*base["required"], *keys]}


def sometimes(base: Schema, **keys: Schema) -> Schema:
    """The same with keys that need not be there."""
    return base | {"properties": base["properties"] | keys}


def listed(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def maybe(one: Schema) -> Schema:
    """The same or null."""
    if "enum" in one:
        return {"enum": [*one["enum"], None]}
    if "type" in one:
        return one | {"type": [one["type"], "null"]}
    return {"anyOf": [one, {"type": "null"}]}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def page(name: str) -> Schema:
    return shape(items=listed(ref(name)), next_cursor=maybe(TEXT))


def one_of(*words: object) -> Schema:
    return {"enum": list(words)}


_STATE, _OUTCOME = one_of(*RunState), maybe(one_of(*Outcome))
_ENDED = {"outcome": _OUTCOME, "exit_code": maybe(COUNT)}
_NAMES = listed(TEXT)
_RUNS = shape(runs=listed(COUNT), is_partial=FLAG)
_DAY = shape(executions=COUNT, succeeded=COUNT, failed=COUNT, average_seconds=maybe(NUMBER))
_SPREAD = maybe(shape(mean=NUMBER, p50=NUMBER, p90=NUMBER, p95=NUMBER, p99=NUMBER, max=NUMBER))
_LINE = shape(
    name=maybe(TEXT),
    runs=COUNT,
    states={"type": "object", "additionalProperties": COUNT},
    retried=COUNT,
    success_rate=maybe(NUMBER),
    duration=_SPREAD,
    wait=_SPREAD,
)
_USAGE = shape(
    cpu_user_seconds=NUMBER, cpu_system_seconds=NUMBER, peak_memory_bytes=COUNT, stdout_bytes=COUNT, stderr_bytes=COUNT,
    output_cut=FLAG | {"description": "Not all of the output was kept."},
    leftovers=COUNT | {"description": "Processes that outlived their leader and were ended."},
    io_read_bytes=COUNT | {"description": "Read from disks, and not from a cache."},
    io_written_bytes=COUNT, context_switches=COUNT,
)  # fmt: skip
_PROCESS = shape(pid=COUNT, parent=COUNT, name=TEXT, state=TEXT, wchan=TEXT, command=TEXT)
"""As it was when SIGKILL was due."""
_DEATH = {"dlq_reason": maybe(TEXT), "dlq_timestamp": TIME, "dlq_attempts": COUNT, "original_queue": TEXT}
_RUN = shape(
    id=COUNT, job=TEXT, state=_STATE, queue=TEXT, priority=COUNT, payload=ANY, result=ANY, error=maybe(TEXT),
    attempts=COUNT, max_attempts=COUNT, trigger=one_of(*Trigger), slot=maybe(TIME), run_at=maybe(TIME),
    expires_at=maybe(TIME), created_at=TIME, started_at=maybe(TIME), finished_at=maybe(TIME), duration=maybe(NUMBER),
    key=maybe(TEXT), parent=maybe(COUNT), owner=maybe(TEXT), spec_version=TEXT, adhoc=FLAG, cancelling=FLAG,
    traceparent=maybe(TEXT), tracestate=maybe(TEXT), command=maybe(_NAMES), **_ENDED,
)  # fmt: skip
_PAUSE = shape(at=TIME, until=maybe(TIME), by=TEXT, note=maybe(TEXT))
_JOB = shape(
    name=TEXT, description=TEXT, enabled=FLAG, tags=_NAMES, owner=maybe(TEXT), kind=TEXT, schedule=_NAMES,
    timezone=TEXT, next_at=maybe(TIME), workflow={"type": "object", "additionalProperties": _NAMES}, queue=TEXT,
    priority=COUNT, max_running=maybe(COUNT), timeout=NUMBER, user=maybe(TEXT), file=TEXT, line=COUNT, running=COUNT,
    waiting=COUNT, last=maybe(shape(run=COUNT, state=maybe(_STATE), finished_at=maybe(TIME), **_ENDED)),
    last_slot=maybe(TIME), last_success_at=maybe(TIME), last_failure_at=maybe(TIME), paused=maybe(ref("Pause")),
    circuit=maybe(shape(open=FLAG, until=maybe(TIME), failures=COUNT)),
    late=listed(shape(check=TEXT, since=TIME, run=maybe(COUNT), detail=TEXT)),
)  # fmt: skip
_QUEUE = shape(
    name=TEXT, declared=FLAG, max_running=maybe(COUNT), rate_limit=ANY, draining=FLAG, pending=COUNT, processing=COUNT,
    rate_limit_usage=maybe(shape(current=COUNT, max=COUNT, percentage=NUMBER, tokens=NUMBER, next_at=maybe(TIME))),
    overrides=maybe(shape(set=OBJECT, declared=OBJECT, at=TIME, by=TEXT)), completed=COUNT, failed=COUNT,
    dead_letters=COUNT, paused=maybe(ref("Pause")), states={"type": "object", "additionalProperties": COUNT},
    oldest_waiting_seconds=maybe(NUMBER), last_24h=_DAY,
)  # fmt: skip
_WORKER = shape(
    number=COUNT, pid=COUNT, state=TEXT, run=maybe(COUNT), attempt=maybe(COUNT), since=maybe(TIME)
)  # fmt: skip
_DEGRADED = listed(shape(reason=TEXT, detail=TEXT))
_STATUS = shape(
    schema_version=COUNT, version=TEXT, pid=COUNT, started_at=TIME, now=TIME, uptime_seconds=NUMBER, healthy=FLAG,
    draining=FLAG, degraded=_DEGRADED, problems=_NAMES, last_reload=shape(at=TIME, ok=FLAG), timezone=TEXT,
    socket=TEXT, state_dir=TEXT, metrics_address=maybe(TEXT), containment=TEXT,
    workers=shape(max=COUNT, busy=COUNT, items=listed(_WORKER)),
    job_counts=shape(total=COUNT, failed=COUNT, paused=COUNT, circuit_open=COUNT, late=COUNT),
    paused=maybe(ref("Pause")),
    queues=listed(ref("Queue")), jobs=listed(ref("Job")),
)  # fmt: skip

SCHEMAS: dict[str, Schema] = {
    "Run": sometimes(
        _RUN,
        progress=maybe(NUMBER | {"minimum": 0, "maximum": 1}),
        status_text=maybe(TEXT),
        dead_letters=listed(ref("Death")),
    ),
    "Attempt": shape(
        run=COUNT, attempt=COUNT, reserved_at=TIME, started_at=maybe(TIME), finished_at=maybe(TIME),
        signal=maybe(COUNT), duration=maybe(NUMBER), error=maybe(TEXT), worker_pid=maybe(COUNT), pid=maybe(COUNT),
        usage=maybe(_USAGE), progress=maybe(NUMBER), status_text=maybe(TEXT), snapshot=maybe(listed(_PROCESS)),
        **_ENDED,
    ),
    "Tree": shape(
        run=COUNT,
        items=listed(shape(id=COUNT, job=TEXT, state=_STATE, error=maybe(TEXT), attempts=COUNT, **_ENDED)),
        edges=listed(shape(parent=COUNT, child=COUNT, on=one_of(*Condition), decision=maybe(TEXT))),
        truncated=FLAG,
    ),
    "Pause": _PAUSE,
    "Job": sometimes(_JOB, definition=OBJECT, sources={"type": "object", "additionalProperties": TEXT}),
    "Queue": _QUEUE,
    "Status": _STATUS,
    "Health": shape(
        healthy=FLAG, at=TIME, degraded=_DEGRADED, configuration=OBJECT,
        queues={
            "type": "object",
            "additionalProperties": shape(
                config=OBJECT, status=shape(pending=COUNT, processing=COUNT, completed=COUNT, failed=COUNT),
                oldest_waiting_seconds=maybe(NUMBER), rate_limit=maybe(OBJECT), dead_letters=COUNT,
                last_24h=beside(_DAY, success_rate=maybe(NUMBER), failure_rate=maybe(NUMBER)),
            ),
        },
    ),
    "DeadLetter": shape(run=COUNT, job=TEXT, owner=maybe(TEXT), **_DEATH, **_ENDED),
    "Death": shape(**_DEATH, action=maybe(TEXT), acted_at=maybe(TIME), acted_by=maybe(TEXT)),
    "DeadFigures": shape(queue=TEXT, job=TEXT, count=COUNT, oldest=TIME, newest=TIME),
    "Handled": sometimes(_RUNS, held=listed(COUNT)),
    "Coming": shape(job=maybe(TEXT), at=TIME, local=TIME, remark=TEXT),
    "Slot": shape(
        job=TEXT, slot=TIME, disposition=one_of(*Disposition), run=maybe(COUNT), reason=TEXT, state=maybe(_STATE),
        **_ENDED,
    ),
    "Why": shape(
        subject=ANY, reason=TEXT, detail=TEXT, until=maybe(TIME),
        blockers=listed(shape(kind=TEXT, id={"type": ["integer", "string", "null"]}, detail=TEXT)),
    ),
    "Event": shape(id=maybe(COUNT), kind=TEXT),
    "Audited": shape(
        id=COUNT, at=TIME, uid=COUNT, user=TEXT, pid=COUNT, executable=TEXT, did=TEXT, on=TEXT, result=TEXT,
        detail=TEXT, times=COUNT, digest=TEXT,
    ),
    "Trail": shape(whole=FLAG, entries=COUNT, broken_at=maybe(COUNT), digest=maybe(TEXT)),
    "Stats": shape(since=TIME, until=TIME, truncated=FLAG, total=_LINE, items=listed(_LINE)),
    "Reloaded": shape(
        added=_NAMES, changed=_NAMES, removed=_NAMES, problems=_NAMES, settings=_NAMES, restart_needed=_NAMES,
        dry_run=FLAG,
    ),
    "Pruned": shape(runs=COUNT, slots=COUNT, output_bytes=COUNT),
    "Draining": shape(draining=FLAG, running=COUNT),
    "Moved": shape(id=COUNT, state=_STATE),
    "Submitted": sometimes(shape(id=COUNT, state=_STATE), duplicate=FLAG, replaced=FLAG),
    "Batch": sometimes(shape(ids=listed(COUNT)), duplicates=listed(COUNT), replaced=listed(COUNT)),
    "Signalled": shape(id=COUNT, attempt=COUNT, signal=TEXT, number=COUNT, pids=listed(COUNT)),
    "Held": sometimes(shape(paused=FLAG), until=maybe(TIME), by=TEXT, was_paused=FLAG),
    "Skipped": shape(job=TEXT, slots=listed(TIME)),
    "Cancelled": shape(job=TEXT, runs=listed(COUNT), is_partial=FLAG),
    "Version": shape(name=TEXT, version=TEXT, api=TEXT, schema_version=COUNT),
    "Workload": shape(
        job=TEXT, enabled=FLAG, schedule=OBJECT, timezone=TEXT, next_at=maybe(TIME), queue=TEXT, priority=COUNT,
        max_running=maybe(COUNT), running_limit=maybe(COUNT), runs=COUNT, median_seconds=maybe(NUMBER),
        p95_seconds=maybe(NUMBER),
    ),
}  # fmt: skip

ANSWERS: dict[tuple[str, str], Schema] = {
    ("GET", "/v1/status"): ref("Status"),
    ("GET", "/v1/health"): ref("Health"),
    ("GET", "/v1/version"): ref("Version"),
    ("GET", "/v1/jobs"): shape(items=listed(ref("Job"))),
    ("GET", "/v1/jobs/{name}"): ref("Job"),
    ("GET", "/v1/jobs/{name}/next"): shape(items=listed(ref("Coming"))),
    ("GET", "/v1/next"): shape(items=listed(ref("Coming"))),
    ("GET", "/v1/jobs/{name}/why"): ref("Why"),
    ("GET", "/v1/runs/{id}/why"): ref("Why"),
    ("GET", "/v1/slots"): page("Slot"),
    ("GET", "/v1/runs"): page("Run"),
    ("GET", "/v1/runs/{id}"): ref("Run"),
    ("GET", "/v1/runs/{id}/wait"): ref("Run"),
    ("GET", "/v1/runs/{id}/attempts"): shape(items=listed(ref("Attempt"))),
    ("GET", "/v1/runs/{id}/tree"): ref("Tree"),
    ("POST", "/v1/runs"): {"oneOf": [ref("Submitted"), ref("Batch")]},
    ("POST", "/v1/runs/{id}/cancel"): ref("Moved"),
    ("POST", "/v1/runs/{id}/retry"): ref("Moved"),
    ("POST", "/v1/runs/{id}/kill"): ref("Signalled"),
    ("GET", "/v1/queues"): page("Queue"),
    ("GET", "/v1/queues/{name}"): ref("Queue"),
    ("PATCH", "/v1/queues/{name}"): ref("Queue"),
    ("GET", "/v1/dead-letters"): page("DeadLetter"),
    ("GET", "/v1/dead-letters/stats"): shape(items=listed(ref("DeadFigures"))),
    ("POST", "/v1/dead-letters/retry"): ref("Handled"),
    ("DELETE", "/v1/dead-letters"): ref("Handled"),
    ("GET", "/v1/workload"): page("Workload"),
    ("GET", "/v1/stats"): ref("Stats"),
    ("GET", "/v1/audit"): page("Audited"),
    ("GET", "/v1/audit/verify"): ref("Trail"),
    ("POST", "/v1/reload"): ref("Reloaded"),
    ("POST", "/v1/prune"): ref("Pruned"),
    ("POST", "/v1/drain"): ref("Draining"),
    ("POST", "/v1/jobs/{name}/skip-next"): ref("Skipped"),
    ("POST", "/v1/jobs/{name}/cancel"): ref("Cancelled"),
    **{
        ("POST", f"/v1{what}/{verb}"): ref("Held")
        for what in ("", "/jobs/{name}", "/queues/{name}")
        for verb in ("pause", "resume")
    },
}

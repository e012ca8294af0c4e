"""What every verb prints with `--json`, as one JSON Schema: the answers of the API, and those that only verbs give."""

from __future__ import annotations

import json
from typing import Any

from jobd.cli.session import SCHEMA_VERSION
from jobd.control.answers import (
    COUNT,
    FLAG,
    NUMBER,
    OBJECT,
    SCHEMAS,
    TEXT,
    TIME,
    Schema,
    listed,
    maybe,
    one_of,
    ref,
    shape,
)

_NAMES = listed(TEXT)
_FINDING = shape(check=TEXT, grade=one_of("ok", "unknown", "warning", "bad"), detail=TEXT, mend=maybe(TEXT))
_PROBLEM = shape(file=TEXT, line=COUNT, column=COUNT, path=TEXT, message=TEXT)
_FAILURE = shape(at=TIME, run=COUNT, job=TEXT, outcome=maybe(TEXT), exit_code=maybe(COUNT), reason=maybe(TEXT))
_CROWD = shape(name=TEXT, max_running=maybe(COUNT), peak=COUNT, peak_at=maybe(TIME))
_TALLY = shape(
    job=TEXT, seconds=NUMBER, assumed=FLAG, excluded=COUNT, slots=COUNT, started=COUNT, skipped=COUNT, coalesced=COUNT,
    replaced=COUNT, expired=COUNT, waited=COUNT, longest_wait_seconds=NUMBER,
)  # fmt: skip
_IMPORTED = shape(
    jobs=listed(shape(name=TEXT, source=TEXT, definition=OBJECT, problems=_NAMES, fires=OBJECT)),
    diff=listed(shape(at=TIME, old=_NAMES, new=_NAMES)),
    problems=_NAMES,
    compared=listed(shape(**{"from": TIME, "to": TIME})),
)


def _items(name: str) -> Schema:
    return shape(items=listed(ref(name)))


def _either(*some: Schema) -> Schema:
    return {"anyOf": list(some)}


VERBS: dict[str, Schema] = {
    "status": _either(ref("Status"), ref("Job")),
    "jobs": _items("Job"),
    "show": _either(ref("Job"), ref("Run"), ref("Tree")),
    "cat": shape(name=TEXT, definition=OBJECT, sources={"type": "object", "additionalProperties": TEXT}),
    "next": _items("Coming"),
    "why": ref("Why"),
    "audit": _either(_items("Audited"), ref("Trail")),
    "slots": _items("Slot"),
    "simulate": shape(
        **{"from": TIME, "to": TIME}, slots=COUNT, jobs=listed(_TALLY), queues=listed(_CROWD), workers=_CROWD,
        busiest_minute=maybe(shape(at=TIME, slots=COUNT)), incidents_left_out=COUNT,
        incidents=listed(shape(at=TIME, job=TEXT, kind=TEXT, reason=TEXT, seconds=NUMBER)),
    ),
    "run": _either(ref("Run"), ref("Submitted")),
    "submit": _either(ref("Run"), ref("Submitted"), ref("Batch")),
    "runs": _items("Run"),
    "attempts": _items("Attempt"),
    "logs": shape(run=COUNT, attempt=maybe(COUNT)),
    "wait": _either(ref("Run"), _items("Run")),
    "cancel": _either(_items("Moved"), shape(job=TEXT, runs=listed(COUNT))),
    "kill": ref("Signalled"),
    "retry": _items("Moved"),
    "pause": _items("Held"),
    "resume": _items("Held"),
    "skip-next": ref("Skipped"),
    "dead list": _items("DeadLetter"),
    "dead show": shape(run=ref("Run"), dead_letters=listed(ref("Death"))),
    "dead retry": ref("Handled"),
    "dead drop": ref("Handled"),
    "dead stats": _items("DeadFigures"),
    "events": ref("Event"),
    "queues": _items("Queue"),
    "queue set": ref("Queue"),
    "backup": shape(file=TEXT, bytes=COUNT),
    "restore": shape(database=TEXT, before=maybe(TEXT)),
    "drain": _either(ref("Draining"), ref("Queue")),
    "top": shape(
        status=ref("Status"), running=listed(ref("Run")), coming=listed(ref("Coming")), failures=listed(_FAILURE)
    ),
    "stats": ref("Stats"),
    "doctor": shape(healthy=FLAG, findings=listed(_FINDING)),
    "prune": ref("Pruned"),
    "reload": ref("Reloaded"),
    "check": shape(problems=listed(_PROBLEM), warnings=listed(_PROBLEM), jobs=_NAMES),
    "import crontab": _IMPORTED,
    "import timers": _IMPORTED,
    "export systemd": shape(job=TEXT, files={"type": "object", "additionalProperties": TEXT}, problems=_NAMES),
    "health": ref("Health"),
    "version": shape(client=TEXT, daemon=maybe(TEXT)),
}  # fmt: skip
"""By what is typed. `events` prints one such object a line, without `schema_version`; `schema` prints a JSON Schema,
and `completion` code.
"""


def document() -> dict[str, Any]:
    """The schema of all verbs: each under `$defs/verbs`, which `$ref` the shapes beside them."""
    text = json.dumps({"shapes": SCHEMAS, "verbs": VERBS}).replace("#/components/schemas/", "#/$defs/shapes/")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What jobd-ctl --json prints",
        "description": "One shape for each verb, below $defs/verbs. What stands here stays, with its type, for as long "
        f"as schema_version is {SCHEMA_VERSION}; other keys may come beside it. Instants are RFC 3339 in UTC.",
        "$defs": json.loads(text),
    }


def of_verb(verb: str) -> dict[str, Any]:
    """The schema of one verb, to validate an answer with."""
    return document() | {"$ref": f"#/$defs/verbs/{verb.replace(' ', '%20')}"}

"""A job as JSON text and back: how a run keeps the definition it was accepted under."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from functools import cache
from typing import Any

from jobd.core.buckets import Rate
from jobd.core.model import (
    Action,
    Calendar,
    Call,
    CircuitBreaker,
    Command,
    Expect,
    Job,
    Limits,
    Notify,
    Python,
    RetryPolicy,
    Sandbox,
    Schedule,
    Shell,
    Unique,
    Workflow,
)


def to_text(job: Job) -> str:
    """The canonical JSON of a job: equal jobs give equal texts."""
    return _encode(job)


def version(text: str) -> str:
    """What names a definition in listings: 12 hex digits of its hash."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def from_text(text: str) -> Job:
    """The job that `to_text` wrote. Keys of a newer jobd are passed over, missing ones take their defaults."""
    return _job(json.loads(text))


def _plain(value: Any) -> dict[str, Any]:
    """The fields of a record; what a job runs also says its kind."""
    kind: type = type(value)
    plain = {name: getattr(value, name) for name in _names(kind)}
    if isinstance(value, Action):
        plain["kind"] = value.kind
    return plain


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


# Ten thousand jobs are written when jobd starts: dataclasses.asdict, which copies everything, takes ten times as long.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain).encode


def _job(data: dict[str, Any]) -> Job:
    values = _known(Job, data)
    values["action"] = _action(data["action"])
    values["schedule"] = schedule_from(data.get("schedule", {}))
    values["retry"] = RetryPolicy(**_known(RetryPolicy, data.get("retry", {})))
    values["circuit_breaker"] = _breaker(data.get("circuit_breaker"))
    values["unique"] = _unique(data.get("unique"))
    values["limits"] = Limits(**_known(Limits, data.get("limits", {})))
    values["rate_limit"] = _rate(data.get("rate_limit"))
    values["uses"] = tuple((name, amount) for name, amount in data.get("uses", ()))
    values["sandbox"] = Sandbox(**_known(Sandbox, data.get("sandbox", {})))
    values["workflow"] = Workflow(**_known(Workflow, data.get("workflow", {})))
    values["expect"] = _expect(data.get("expect"))
    values["notify"] = _notify(data.get("notify"))
    values["env"] = tuple((name, value) for name, value in data.get("env", ()))
    values["secrets"] = tuple((name, source) for name, source in data.get("secrets", ()))
    return Job(**values)


def schedule_from(data: dict[str, Any]) -> Schedule:
    """The schedule whose fields, as JSON keeps them, these are."""
    values = _known(Schedule, data)
    values["exclude"] = tuple(
        Calendar(one["name"], tuple((first, last) for first, last in one["days"])) for one in data.get("exclude", ())
    )
    return Schedule(**values)


def _unique(data: dict[str, Any] | None) -> Unique | None:
    return None if data is None else Unique(**_known(Unique, data))


def _breaker(data: dict[str, Any] | None) -> CircuitBreaker | None:
    return None if data is None else CircuitBreaker(**_known(CircuitBreaker, data))


def _expect(data: dict[str, Any] | None) -> Expect | None:
    return None if data is None else Expect(**_known(Expect, data))


def _notify(data: dict[str, Any] | None) -> Notify | None:
    return None if data is None else Notify(**_known(Notify, data))


def _rate(data: dict[str, Any] | None) -> Rate | None:
    return None if data is None else Rate(**_known(Rate, data))


def _action(data: dict[str, Any]) -> Action:
    match data["kind"]:
        case "command":
            return Command(tuple(data["argv"]))
        case "shell":
            return Shell(data["text"])
        case "python":
            return Python(data["target"])
        case other:
            return Call(other, data["options"])


def _known(kind: type, data: dict[str, Any]) -> dict[str, Any]:
    """The fields that `kind` has, JSON's lists made tuples again (payload stays as it is)."""
    names = _names(kind)
    return {
        name: tuple(value) if isinstance(value, list) and name != "payload" else value
        for name, value in data.items()
        if name in names
    }

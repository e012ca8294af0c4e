"""How runs of a job queue, are retried and executed, and which data they carry."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from jobd.core import buckets, model, names
from jobd.core.buckets import Rate
from jobd.core.model import CircuitBreaker, RetryPolicy
from jobd.core.shown import shown
from jobd.definitions.schema.kinds import (
    AbsolutePath,
    Duration,
    ExitStatuses,
    Name,
    Read,
    Size,
    Words,
    duration,
    name,
    number,
    one_or_list,
    text_like,
    whole,
)

_PRIORITIES = {"low": -10, "medium": 0, "high": 10}
_OCTAL = re.compile(r"(?:0o)?([0-7]{1,4})", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ABOUT_THE_RUN = (
    *("JOB", "RUN_ID", "ATTEMPT", "MAX_ATTEMPTS", "QUEUE", "TRIGGER", "SLOT"),
    *("PAYLOAD", "PAYLOAD_FILE", "RESULT_FILE", "PARENT_RUN", "PARENT_RESULT_FILE"),
)
_SET_BY_JOBD = {f"JOBD_{word}" for word in _ABOUT_THE_RUN} | {
    *("NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "TRACEPARENT", "TRACESTATE"),
}


def _priority(value: Any) -> int:
    if isinstance(value, str) and value in _PRIORITIES:
        return _PRIORITIES[value]
    if isinstance(value, int) and not isinstance(value, bool) and -100 <= value <= 100:
        return int(value)
    raise ValueError(f"{shown(value)} is not a priority (low, medium, high, or -100 to 100)")


def _umask(value: Any) -> int:
    if value == 0 and not isinstance(value, bool):
        return 0
    match = _OCTAL.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1], 8) > 0o777:
        raise ValueError(f'{shown(value)} is not a file mode mask (write 0o022 or "022")')
    return int(match[1], 8)


def _variable(value: Any) -> str:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a name of a variable (letters, digits and _, no digit first)")
    if value in _SET_BY_JOBD:
        raise ValueError(f"{value} is set by jobd itself (use another name)")
    return value


Priority = Annotated[
    int,
    Read(_priority, {"anyOf": [{"enum": [*_PRIORITIES]}, {"type": "integer", "minimum": -100, "maximum": 100}]}),
]
Umask = Annotated[int, Read(_umask, {"type": ["string", "integer"], "description": "As 0o022 or '022'."})]
Variable = Annotated[str, Read(_variable, {"type": "string", "pattern": f"^{_VARIABLE.pattern}$"})]
Environment = dict[Variable, str]
EnvFile = Annotated[str, text_like(r"-?/[^\0]*", "an absolute path (start it with /, or -/ where it may be missing)")]
SecretName = Annotated[
    str, text_like(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", "a name of a secret (letters, digits and _ . -)")
]
SecretSource = Annotated[
    str,
    text_like(r"/[^\0]+|credential:[A-Za-z0-9_][A-Za-z0-9_.-]*", "an absolute path, or credential:NAME of jobd's unit"),
]
EnvFiles = Annotated[list[EnvFile], one_or_list({"type": "string", "pattern": "^-?/"})]


class Unique(Words):
    key: list[str] | Literal[True] = Field(
        default=True, description="The payload's fields that count; true is all of it, [] none of it."
    )
    period: Annotated[float, duration(1.0)] | None = Field(
        default=None, description="Each period of so long, counted from 1970 in UTC, has a key of its own."
    )
    states: Literal["active", "all"] = Field(
        default="active",
        description="How long the key holds: until the run is final, or through the period whatever becomes of it.",
    )
    on_conflict: Literal["keep", "replace", "error"] = Field(
        default="keep",
        description="A second run: the first stands for it, or takes over what it brings, or it is refused.",
    )

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.states == "all" and self.period is None:
            raise ValueError("states: all holds the key through a period (say which, like period: 1h)")
        return self

    def unique(self) -> model.Unique:
        return model.Unique(
            fields=None if self.key is True else tuple(sorted(set(self.key))),
            period_seconds=self.period,
            states=self.states,
            on_conflict=self.on_conflict,
        )


RATE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "description": "10/sec, 100/min, 5/hour"},
        {
            "type": "object",
            "properties": {"rate": {"type": "string"}, "burst": {"type": "integer", "minimum": 1}},
            "required": ["rate"],
            "additionalProperties": False,
        },
    ]
}


def _rate(value: Any) -> Rate:
    try:
        return buckets.rate(value)
    except ValueError as error:
        raise ValueError(f"{shown(value)}: {error}") from None


RateLimit = Annotated[Rate, Read(_rate, RATE_SCHEMA)]
Uses = dict[Name, Annotated[int, whole(1, 1_000_000)]]


def _queue(value: Any) -> str:
    if isinstance(value, str) and names.is_reserved(value):
        raise ValueError(f"{shown(value)} is kept for jobd's own notifications (name another queue)")
    return name(value)


JobQueue = Annotated[str, Read(_queue, {"type": "string", "pattern": f"^{names.NAME.pattern}$"})]


class Queueing(Words):
    queue: JobQueue = "default"
    priority: Priority = 0
    max_running: Annotated[int, whole(1, 100_000)] | None = None
    rate_limit: RateLimit | None = None
    uses: Uses = Field(default_factory=dict)
    expires: Annotated[float, duration(1.0)] | None = None
    unique: Unique | None = Field(default=None, description="No second run with the same key; see docs/unique.md.")


class Retry(Words):
    strategy: Literal["none", "fixed", "exponential"] = "exponential"
    max_attempts: Annotated[int, whole(1, 10_000)] | None = None
    base: Duration = 10.0
    multiplier: Annotated[float, number(1, 100)] = 2.0
    max_delay: Duration = 3600.0
    jitter: Annotated[float, number(0, 1)] = 0.1

    def policy(self) -> RetryPolicy:
        return RetryPolicy(
            strategy=self.strategy,
            max_attempts=self.max_attempts,
            base_seconds=self.base,
            multiplier=self.multiplier,
            max_delay_seconds=self.max_delay,
            jitter=self.jitter,
        )


class Circuit(Words):
    failures: Annotated[int, whole(1, 10_000)] = 5
    cooldown: Duration = 300.0

    def breaker(self) -> CircuitBreaker:
        return CircuitBreaker(self.failures, self.cooldown)


class Retrying(Words):
    retry: Retry = Retry()
    success_exit_status: ExitStatuses = Field(default_factory=lambda: [0])
    retry_exit_status: ExitStatuses | None = None
    no_retry_exit_status: ExitStatuses = Field(default_factory=list)
    circuit_breaker: Circuit | None = None
    on_lost: Literal["retry", "fail"] | None = None
    dead_letter: bool = True


class Execution(Words):
    timeout: Duration = 3600.0
    total_timeout: Duration = Field(default=0.0, description="For all attempts of a run together; 0 is no end.")
    kill_after: Duration = 10.0
    watchdog: Duration = Field(
        default=0.0, description="End an attempt that says WATCHDOG=1 on $NOTIFY_SOCKET less often than this; 0 is off."
    )
    user: str | None = None
    group: str | None = None
    cwd: AbsolutePath | None = None
    env: Environment = Field(default_factory=dict)
    env_file: EnvFiles = Field(
        default_factory=list,
        description="Files of NAME=VALUE lines that override env, read at each attempt; -/path may be missing.",
    )
    secrets: dict[SecretName, SecretSource] = Field(
        default_factory=dict,
        description="Files that the job finds in $CREDENTIALS_DIRECTORY; credential:NAME is one of jobd's unit.",
    )
    umask: Umask = 0o022
    stdin: str | None = None
    allow_background: bool = False
    isolate: bool = False
    on_shutdown: Literal["wait", "stop", "requeue", "detach"] | None = None


class Output(Words):
    max: Size = 1024 * 1024
    on_limit: Literal["truncate", "kill"] = "truncate"
    journal: bool = Field(default=False, description="Each line also becomes a record of the journal, masked.")


class Data(Words):
    payload: Any = None
    payload_schema: dict[str, Any] | None = Field(
        default=None, description="JSON Schema (2020-12) that payloads must satisfy, checked when a run is submitted."
    )
    output: Output = Output()

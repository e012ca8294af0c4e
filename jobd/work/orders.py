"""What a worker is told to do: one attempt, complete, and what is said of one that could not be done in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from jobd.core.model import (
    NO_LIMITS,
    NO_SANDBOX,
    Action,
    AttemptKey,
    Job,
    Limits,
    Sandbox,
)
from jobd.core.states import Trigger
from jobd.core.trace import Trace
from jobd.work import credentials

NO_ROOM = 125
"""Exit code of an attempt given back because the machine had no room to start it: wait before the next one."""


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt for a worker to execute, complete: the worker looks nothing up but users and programs."""

    key: AttemptKey
    job: str
    action: Action
    queue: str = "default"
    trigger: Trigger = Trigger.SUBMIT
    slot: datetime | None = None
    max_attempts: int = 1
    payload: str = "null"
    """JSON text."""
    timeout_seconds: float = 0.0
    """0 is no timeout."""
    kill_after_seconds: float = 10.0
    success_exit_status: tuple[int, ...] = (0,)
    user: str | None = None
    group: str | None = None
    cwd: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    umask: int = 0o022
    nice: int = 0
    stdin: str | None = None
    isolate: bool = False
    allow_background: bool = False
    output_max_bytes: int = 1024 * 1024
    output_on_limit: Literal["truncate", "kill"] = "truncate"
    parents: str = ""
    """JSON text for `core.parents.read`; empty where the run waited for none."""
    ionice: str | None = None
    oom_score_adjust: int | None = None
    env_files: tuple[str, ...] = ()
    total_seconds: float = 0.0
    """What is left for all attempts of the run together; `timeout_seconds` is no more than that. 0 is no bound."""
    limits: Limits = NO_LIMITS
    sandbox: Sandbox = NO_SANDBOX
    secrets: tuple[tuple[str, str], ...] = ()
    output_journal: bool = False
    traceparent: str = ""
    """Empty where the run belongs to no trace."""
    tracestate: str = ""
    watchdog_seconds: float = 0.0
    """How long it may give no sign of life; 0 is for ever."""


def order_of(
    job: Job,
    key: AttemptKey,
    *,
    trigger: Trigger,
    payload: str,
    slot: datetime | None = None,
    queue: str | None = None,
    max_attempts: int = 1,
    timeout_seconds: float | None = None,
    parents: str = "",
    total_seconds: float = 0.0,
    trace: Trace | None = None,
) -> Order:
    """The order for one attempt of a run of `job`; `payload` is JSON text, None takes what the job says."""
    return Order(
        key=key,
        job=job.name,
        action=job.action,
        queue=queue or job.queue,
        trigger=trigger,
        slot=slot,
        max_attempts=max_attempts,
        payload=payload,
        parents=parents,
        timeout_seconds=_sooner(job.timeout_seconds if timeout_seconds is None else timeout_seconds, total_seconds),
        total_seconds=total_seconds,
        kill_after_seconds=job.kill_after_seconds,
        watchdog_seconds=job.watchdog_seconds,
        success_exit_status=job.success_exit_status,
        user=job.user,
        group=job.group,
        cwd=job.cwd,
        env=job.env,
        env_files=job.env_files,
        umask=job.umask,
        nice=job.nice,
        ionice=job.ionice,
        oom_score_adjust=job.oom_score_adjust,
        limits=job.limits,
        sandbox=job.sandbox,
        stdin=job.stdin,
        isolate=job.isolate,
        allow_background=job.allow_background,
        output_max_bytes=job.output_max_bytes,
        output_on_limit=job.output_on_limit,
        secrets=credentials.located(job.secrets),
        output_journal=job.output_journal,
        traceparent=trace.parent if trace else "",
        tracestate=trace.state if trace else "",
    )


def _sooner(one: float, other: float) -> float:
    """The shorter of two spans of which 0 has no end."""
    return min(filter(None, (one, other)), default=0.0)


def timed_out(order: Order) -> str:
    """What is said of an attempt whose time is over."""
    said = f"timed out after {order.timeout_seconds:g} s"
    return f"{said}, all that its total_timeout had left" if order.timeout_seconds == order.total_seconds else said

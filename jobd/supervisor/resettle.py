"""Takes in a jobd.yaml that was changed under a living daemon: what holds at once, and what waits for a start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jobd.supervisor.settings import Settings

AT_ONCE: Mapping[str, str] = {
    "config": "the file",
    "roles": "roles",
    "adhoc": "control.adhoc",
    "workers_max": "workers.max",
    "idle_timeout_seconds": "workers.idle_timeout",
    "max_attempts_per_worker": "workers.max_attempts_per_worker",
    "retention": "retention",
    "drain_timeout_seconds": "drain_timeout",
    "defaults": "defaults",
    "queues": "queues",
    "rates": "queues",
    "resources": "resources",
    "calendars": "calendars",
    "run_as_allowed": "policy.run_as_allowed",
    "allow_shell": "policy.allow_shell",
    "shell_allowlist": "shell_allowlist",
    "max_payload_bytes": "policy.max_payload",
    "max_queued_per_user": "policy.max_queued_per_user",
    "max_submits_per_second": "policy.max_submits_per_second",
    "strict_queues": "policy.strict_queues",
    "http_deny": "policy.http_deny",
    "smtp": "smtp",
    "channels": "channels",
    "log_level": "logging.level",
    "mask": "logging.mask",
}
"""Fields of Settings that a reload puts in force, and the words of jobd.yaml behind them."""

AT_A_START: Mapping[str, str] = {
    "jobs_dirs": "jobs_dirs",
    "state_dir": "state_dir",
    "runtime_dir": "runtime_dir",
    "socket": "control.socket",
    "socket_mode": "control.mode",
    "socket_group": "control.group",
    "socket_group_is_named": "control.group",
    "metrics_listen": "metrics.listen",
    "synchronous": "store.synchronous",
    "python_path": "python_path",
    "sinks": "sinks",
    "tracing": "tracing",
    "log_format": "logging.format",
}
"""Fields that are built upon from the first moment: paths, sockets, and the code that is loaded."""

_BIND_DEFINITIONS = (
    "defaults",
    "resources",
    "calendars",
    "run_as_allowed",
    "allow_shell",
    "shell_allowlist",
    "max_payload_bytes",
    "strict_queues",
    "channels",
)


@dataclass(frozen=True, slots=True)
class Resettled:
    """What a file that was read again comes to."""

    settings: Settings
    """What to go by from now on: the old values of what waits for a start, the new ones of all else."""
    changed: tuple[str, ...] = ()
    """Words of jobd.yaml that are in force with this."""
    waiting: tuple[str, ...] = ()
    """Words that were changed and wait for a start of jobd."""
    binds_definitions: bool = False
    """Definitions are to be judged anew."""


def resettle(now: Settings, read: Settings) -> Resettled:
    """Hold what is in force against what the file says."""
    changed = [field for field in AT_ONCE if getattr(now, field) != getattr(read, field)]
    waiting = [field for field in AT_A_START if getattr(now, field) != getattr(read, field)]
    queues_bind = read.strict_queues and "queues" in changed
    return Resettled(
        replace(now, **{field: getattr(read, field) for field in changed}),
        _words(AT_ONCE, changed),
        _words(AT_A_START, waiting),
        queues_bind or any(field in _BIND_DEFINITIONS for field in changed),
    )


def _words(table: Mapping[str, str], fields: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(table[field] for field in fields))

"""The keys of jobd.yaml as models: types, bounds, and the parts this version does not have."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from jobd.core import allowlist, calendars
from jobd.core.model import Days
from jobd.core.retention import Retention
from jobd.core.roles import Role
from jobd.core.shown import shown
from jobd.definitions.schema.how import RateLimit
from jobd.definitions.schema.kinds import Duration, Name, Prepared, Read, Size, Words, text_like, whole
from jobd.supervisor.channelwords import NAME, ChannelWords

ChannelName = Annotated[str, text_like(NAME, "a name of a channel (up to 64 letters, digits, '.', '_', '-')")]
_MODE = re.compile(r"(?:0o)?([0-7]{3,4})", re.ASCII)
_HTTP_DENY = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128")
"""Link-local addresses, and where clouds hand out credentials."""
_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", re.ASCII)


def _mode(value: Any) -> int:
    match = _MODE.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1], 8) > 0o777:
        raise ValueError(f'{shown(value)} is not a file mode (write "0660")')
    return int(match[1], 8)


def _listen(value: Any) -> tuple[str, int] | None:
    if value is None:
        return None
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 65535:
        raise ValueError(f"{shown(value)} is not an address (write 127.0.0.1:9764, [::1]:9764, or null)")
    return match[1].strip("[]"), int(match[2])


def _network(value: Any) -> str:
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError(f"{shown(value)} is not a network (write 169.254.0.0/16)") from None


def _days(value: Any) -> Days:
    return calendars.days(value if isinstance(value, str) else shown(value))


def _program(value: Any) -> str:
    entry = value if isinstance(value, str) else shown(value)
    if fault := allowlist.entry_fault(entry):
        raise ValueError(fault)
    return entry


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{shown(value)} is not a share (write a number from 0 to 1)")
    return float(value)


def _sinks(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and "otel" in value:
        raise ValueError("otel is jobd's own: set tracing: {endpoint: …} instead")
    return value  # type: ignore[no-any-return]


class Control(Words):
    socket: str | None = None
    mode: Annotated[int, Read(_mode, {"type": "string"})] = 0o660
    group: str | None = None
    adhoc: Literal["off", "admin", "operator", "submitter"] = "submitter"


class Metrics(Words):
    listen: Annotated[tuple[str, int] | None, Read(_listen, {"type": ["string", "null"]})] = ("127.0.0.1", 9764)


class Workers(Words):
    max: Annotated[int, whole(1, 4096)] = 16
    idle_timeout: Duration = 60.0
    max_attempts_per_worker: Annotated[int, whole(1, 1_000_000_000)] = 1000


class Store(Words):
    synchronous: Literal["full", "normal"] = "full"


class RetentionWords(Words):
    """How long runs are kept; null is for ever."""

    succeeded: Duration | None = 30 * 86400.0
    failed: Duration | None = 90 * 86400.0
    keep_last: Annotated[int, whole(0, 10_000)] = 1
    output_max: Size | None = 1024**3
    audit: Duration | None = 365 * 86400.0

    def policy(self) -> Retention:
        return Retention(_span(self.succeeded), _span(self.failed), self.keep_last, self.output_max, _span(self.audit))


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


class Queue(Words):
    max_running: Annotated[int, whole(1, 100_000)] | None = None
    rate_limit: RateLimit | None = None


class Policies(Words):
    run_as_allowed: list[str] = Field(default_factory=lambda: ["*"])
    allow_shell: bool = True
    max_payload: Size = 64 * 1024
    max_queued_per_user: Annotated[int, whole(1, 1_000_000_000)] = 100_000
    max_submits_per_second: Annotated[int, whole(1, 1_000_000_000)] | None = None
    strict_queues: bool = False
    http_deny: list[Annotated[str, Read(_network, {"type": "string"})]] = Field(default_factory=lambda: [*_HTTP_DENY])


class Smtp(Words):
    """The server that email jobs hand their mail to."""

    host: Annotated[str, text_like(r"[A-Za-z0-9.:_-]+", "a host name or an address")] = "localhost"
    port: Annotated[int, whole(1, 65535)] = 25
    tls: Literal["off", "starttls", "tls"] = "off"
    user: str | None = None
    password_file: str | None = None
    sender: Annotated[str, text_like(r"[^\s<>,;:@]+@[^\s<>,;:@]+", "an address (write jobd@example.org)")] = Field(
        default="jobd@localhost", alias="from"
    )

    @model_validator(mode="after")
    def _keeps_its_password(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together (give both, or none)")
        if self.user is not None and self.tls == "off" and not _is_loopback(self.host):
            raise ValueError("a password would go out in clear (set tls: starttls or tls: tls)")
        return self


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


class TracingWords(Words):
    """The collector that spans of runs and attempts are sent to, by OTLP over HTTP."""

    endpoint: Annotated[str, text_like(r"https?://[^\s/?#@]+(/[^\s?#]*)?", "an http(s) address without a password")]
    service_name: str = "jobd"
    sample: Annotated[float, Read(_share, {"type": "number", "minimum": 0, "maximum": 1})] = 1.0
    headers_file: str | None = None
    ca_file: str | None = None


class Logging(Words):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    mask: list[str] = Field(default_factory=lambda: ["password", "token", "secret"])


class Resting(Words):
    """A calendar: the days on which jobs that exclude it rest."""

    dates: list[Annotated[Days, Read(_days, {"type": "string"})]]


class Held(Words):
    """Who holds a role: names of users and groups, `*` being everybody who can open the socket."""

    users: list[str] = Field(default_factory=list)
    groups: list[str] = Field(default_factory=list)


class RolesWords(Words):
    """A role that is not named keeps those who have it without any of this."""

    admin: Held | None = None
    operator: Held | None = None
    submitter: Held | None = None
    viewer: Held | None = None

    def named(self) -> dict[Role, tuple[tuple[str, ...], tuple[str, ...]]]:
        held = {Role[word.upper()]: getattr(self, word) for word in type(self).model_fields}
        return {role: (tuple(who.users), tuple(who.groups)) for role, who in held.items() if who is not None}


class Configuration(Words):
    """All of jobd.yaml. `defaults` holds words of jobs, which definitions judge."""

    jobs_dirs: list[str] | None = None
    state_dir: str | None = None
    runtime_dir: str | None = None
    control: Control = Control()
    metrics: Metrics | None = Metrics()
    workers: Workers = Workers()
    store: Store = Store()
    retention: RetentionWords = RetentionWords()
    drain_timeout: Duration = 60.0
    defaults: dict[str, Any] | None = None
    queues: dict[Name, Queue] = Field(default_factory=dict)
    policy: Policies = Policies()
    python_path: list[str] = Field(default_factory=list)
    sinks: Annotated[dict[Name, Any], Prepared(_sinks, {"type": "object"})] = Field(default_factory=dict)
    tracing: TracingWords | None = None
    logging: Logging = Logging()
    smtp: Smtp = Smtp()
    resources: dict[Name, Annotated[int, whole(1, 1_000_000)]] = Field(default_factory=dict)
    shell_allowlist: list[Annotated[str, Read(_program, {"type": "string"})]] = Field(default_factory=list)
    roles: RolesWords | None = None
    channels: dict[ChannelName, ChannelWords] = Field(default_factory=dict)
    calendars: dict[Name, Resting] = Field(default_factory=dict)

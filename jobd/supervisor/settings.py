"""jobd.yaml and the environment as one value with every default filled in. Nothing is created or opened for writing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import ValidationError

from jobd.core.allowlist import Allowlist
from jobd.core.buckets import Rate
from jobd.core.channels import Channel
from jobd.core.model import Calendar, Job, Json
from jobd.core.names import NOTIFY
from jobd.core.retention import Retention
from jobd.core.roles import Role
from jobd.core.shown import shown
from jobd.definitions import ownership
from jobd.definitions.interpret import Rules, check_defaults, template
from jobd.definitions.parse import Node, parse, plain
from jobd.definitions.problems import Malformed, Place, Problem
from jobd.definitions.schema.explain import problems_of
from jobd.supervisor import channels, paths, plugins
from jobd.supervisor.configuration import Configuration, TracingWords
from jobd.supervisor.paths import Paths
from jobd.work.programs import Programs

_SPAN_EXPORTER = "opentelemetry.exporter.otlp.proto.http"


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where spans are exported to, and how many."""

    endpoint: str
    service_name: str
    sample: float
    """The share of the traces begun by jobd that are recorded, 0 to 1."""
    headers_file: str | None
    """Absolute, like `ca_file`."""
    ca_file: str | None

    @property
    def for_sink(self) -> dict[str, Json]:
        """What of this the exporting process is told."""
        return {
            "endpoint": self.endpoint,
            "service_name": self.service_name,
            "headers_file": self.headers_file,
            "ca_file": self.ca_file,
        }


@dataclass(frozen=True, slots=True)
class Settings:
    """What the daemon goes by. Paths are absolute, spans seconds, sizes bytes."""

    config: str | None
    """The file read, or None where there is none and all is default."""
    jobs_dirs: tuple[str, ...]
    """The lowest precedence first."""
    state_dir: str
    runtime_dir: str
    socket: str
    socket_mode: int
    socket_group: str | None
    """A name that may not exist on this host, which is for the user of it to warn about where it was named."""
    roles: Mapping[Role, tuple[tuple[str, ...], tuple[str, ...]]]
    """Who holds each role that was named: users and groups by name, `*` being everybody."""
    adhoc: Literal["off", "admin", "operator", "submitter"]
    metrics_listen: tuple[str, int] | None
    """Host and port, port 0 being any; None turns it off."""
    workers_max: int
    idle_timeout_seconds: float
    max_attempts_per_worker: int
    synchronous: Literal["full", "normal"]
    retention: Retention
    drain_timeout_seconds: float
    defaults: Node | None
    """Words below every job, with their places."""
    queues: Mapping[str, int | None]
    """Declared queues and how many runs each may have running; None is no limit of its own."""
    rates: Mapping[str, Rate]
    """Rate limits of declared queues that have one."""
    resources: Mapping[str, int]
    """How much there is of what runs use up while they run."""
    calendars: tuple[Calendar, ...]
    """Days on which the jobs that exclude them rest, by name."""
    run_as_allowed: tuple[str, ...]
    allow_shell: bool
    shell_allowlist: tuple[str, ...]
    """The programs that `shell` and `command` may run; none named is any."""
    max_payload_bytes: int
    max_queued_per_user: int
    max_submits_per_second: int | None
    strict_queues: bool
    python_path: tuple[str, ...]
    http_deny: tuple[str, ...]
    """Networks that http and webhook jobs may not connect to."""
    smtp: Mapping[str, Json]
    """The server for mail: host, port, tls, user, password_file (absolute), from."""
    channels: tuple[Channel, ...]
    """Where notifications go."""
    sinks: Mapping[str, Json]
    """Event sinks by the names of their entry points, with the options of each."""
    tracing: Tracing | None
    """None where no spans are recorded."""
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["text", "json"]
    mask: tuple[str, ...]
    socket_group_is_named: bool = field(default=False, compare=False)
    """The group was asked for: it is worth a warning where it is not there."""

    @property
    def database(self) -> str:
        return os.path.join(self.state_dir, "jobd.db")

    @property
    def rules(self) -> Rules:
        """What of this binds definitions."""
        return Rules(
            defaults=self.defaults,
            allow_shell=self.allow_shell,
            allowlist=self.allowlist,
            run_as_allowed=self.run_as_allowed,
            max_payload_bytes=self.max_payload_bytes,
            queues=frozenset(self.queues) if self.strict_queues else None,
            resources=self.resources,
            calendars=self.calendars,
            channels=tuple(channel.name for channel in self.channels),
        )

    @property
    def allowlist(self) -> Allowlist:
        """What of this says which programs may run."""
        return Allowlist(self.shell_allowlist, Programs())

    @property
    def for_executors(self) -> dict[str, Json]:
        """What of this executors are told in the workers."""
        return {
            "http_deny": list(self.http_deny),
            "mask": list(self.mask),
            "smtp": dict(self.smtp),
            "shell_allowlist": list(self.shell_allowlist),
            "channels": channels.path(self.runtime_dir),
        }

    def template(self) -> Job:
        """A job with the defaults and nothing else, from which ad-hoc runs are made."""
        return template(self.defaults)


def load(
    config: str | None = None,
    *,
    user: bool = False,
    environ: Mapping[str, str] | None = None,
    admits_plugins: bool = True,
) -> Settings:
    """The settings of `config`, else of JOBD_CONFIG, else of the usual place, which may be missing.

    `user` takes the defaults of `jobd --user`. `admits_plugins`: what `python_path` names is for this process to load
    plug-ins from. Raises Malformed with every problem of the file, also where a file that
    was asked for is not there.
    """
    environ = os.environ if environ is None else environ
    usual = paths.of_user(environ) if user else paths.SYSTEM
    asked = config or environ.get("JOBD_CONFIG") or None
    path = os.path.abspath(asked or usual.config)
    content = _content(path, must_exist=asked is not None)
    node = parse(content, path) if content is not None else None
    words = _words(node) if node is not None else Configuration()
    own = _Resolved(words, usual, os.path.dirname(path))
    if admits_plugins:
        plugins.admit(own.python_path)
    if own.tracing is not None and not plugins.has_module(_SPAN_EXPORTER):
        assert node is not None and isinstance(node.value, dict)
        fault = "needs the OpenTelemetry SDK in jobd's environment (pip install 'jobd[otel]' there, or take this out)"
        raise Malformed(Problem(node.value["tracing"].place, "tracing", fault))
    defaults = _defaults(node) if node is not None else None
    return _settings(words, own, defaults, path if content is not None else None, user, environ)


class _Resolved:
    """The paths of a configuration, made absolute from the folder of its file."""

    def __init__(self, words: Configuration, usual: Paths, folder: str) -> None:
        def at(path: str) -> str:
            return os.path.normpath(os.path.join(folder, path))

        self.jobs_dirs = usual.jobs_dirs if words.jobs_dirs is None else tuple(map(at, words.jobs_dirs))
        self.state_dir = at(words.state_dir) if words.state_dir else usual.state_dir
        self.runtime_dir = at(words.runtime_dir) if words.runtime_dir else usual.runtime_dir
        self.socket = at(words.control.socket) if words.control.socket else os.path.join(self.runtime_dir, "jobd.sock")
        self.python_path = tuple(map(at, words.python_path))
        self.tracing = _tracing(words.tracing, at) if words.tracing is not None else None
        smtp = words.smtp.model_dump(by_alias=True)
        self.smtp = smtp | {"password_file": smtp["password_file"] and at(smtp["password_file"])}


def _tracing(words: TracingWords, at: Callable[[str], str]) -> Tracing:
    return Tracing(
        words.endpoint,
        words.service_name,
        words.sample,
        words.headers_file and at(words.headers_file),
        words.ca_file and at(words.ca_file),
    )


def _settings(
    words: Configuration,
    own: _Resolved,
    defaults: Node | None,
    config: str | None,
    user: bool,
    environ: Mapping[str, str],
) -> Settings:
    policy = words.policy
    return Settings(
        config=config,
        jobs_dirs=own.jobs_dirs,
        state_dir=own.state_dir,
        runtime_dir=own.runtime_dir,
        socket=environ.get("JOBD_SOCKET") or own.socket,
        socket_mode=words.control.mode,
        socket_group=words.control.group or (None if user else "jobd"),
        socket_group_is_named=words.control.group is not None,
        roles=words.roles.named() if words.roles is not None else {},
        adhoc=words.control.adhoc,
        metrics_listen=_metrics(words, user),
        workers_max=words.workers.max,
        idle_timeout_seconds=words.workers.idle_timeout,
        max_attempts_per_worker=words.workers.max_attempts_per_worker,
        synchronous=words.store.synchronous,
        retention=words.retention.policy(),
        drain_timeout_seconds=words.drain_timeout,
        defaults=defaults,
        queues=_queues(words),
        rates={name: queue.rate_limit for name, queue in words.queues.items() if queue.rate_limit is not None},
        resources=dict(words.resources),
        calendars=tuple(Calendar(name, tuple(one.dates)) for name, one in words.calendars.items()),
        run_as_allowed=tuple(policy.run_as_allowed),
        allow_shell=policy.allow_shell,
        shell_allowlist=tuple(words.shell_allowlist),
        max_payload_bytes=policy.max_payload,
        max_queued_per_user=policy.max_queued_per_user,
        max_submits_per_second=policy.max_submits_per_second,
        strict_queues=policy.strict_queues,
        python_path=own.python_path,
        http_deny=tuple(policy.http_deny),
        smtp=own.smtp,
        channels=tuple(one.channel(name) for name, one in words.channels.items()),
        sinks=dict(words.sinks),
        tracing=own.tracing,
        log_level=words.logging.level,
        log_format=words.logging.format,
        mask=tuple(words.logging.mask),
    )


def _queues(words: Configuration) -> dict[str, int | None]:
    """The declared queues; notifications have at most a quarter of the workers, unless jobd.yaml says otherwise."""
    declared = {name: queue.max_running for name, queue in words.queues.items()}
    if words.channels:
        declared.setdefault(NOTIFY, max(1, words.workers.max // 4))
    return declared


def _content(path: str, *, must_exist: bool) -> bytes | None:
    try:
        with open(path, "rb") as file:
            if fault := ownership.fault_of_writers(os.fstat(file.fileno())):
                raise Malformed(Problem(Place(path), "", fault))
            return file.read()
    except FileNotFoundError:
        if not must_exist:
            return None
        raise Malformed(Problem(Place(path), "", "does not exist (give another --config, or create it)")) from None
    except OSError as error:
        raise Malformed(Problem(Place(path), "", f"cannot be read: {error.strerror}")) from None


def _words(node: Node) -> Configuration:
    """The words of a configuration. Raises Malformed with every problem of the file."""
    if not isinstance(node.value, dict):
        raise Malformed(Problem(node.place, "", f"{shown(plain(node))} is not a mapping (write key: value)"))
    try:
        return Configuration.model_validate(_said(node))
    except ValidationError as error:
        problems = problems_of(error, Configuration, node, "")
        raise Malformed(*sorted([*problems, *_problems_of_defaults(node)])) from None


def _defaults(node: Node) -> Node | None:
    """The words below every job, if there are any. Raises Malformed with every problem of theirs."""
    if problems := _problems_of_defaults(node):
        raise Malformed(*sorted(problems))
    defaults = node.value.get("defaults") if isinstance(node.value, dict) else None
    return defaults if defaults is not None and defaults.value else None


def _metrics(words: Configuration, user: bool) -> tuple[str, int] | None:
    """Where the metrics are; a user's own jobd has none unless it is told, since the host's is at the usual address."""
    if words.metrics is None or (user and "metrics" not in words.model_fields_set):
        return None
    return words.metrics.listen


def _problems_of_defaults(node: Node) -> list[Problem]:
    defaults = node.value.get("defaults") if isinstance(node.value, dict) else None
    return check_defaults(defaults, "defaults") if defaults is not None and defaults.value is not None else []


def _said(node: Node) -> dict[str, object]:
    """The keys that say something: a key left empty takes its default, but `metrics`, where null means off."""
    document = plain(node)
    return {key: value for key, value in document.items() if value is not None or key == "metrics"}

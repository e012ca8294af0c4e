"""Orders, reports and the other messages between supervisor, forkserver and workers, and their JSON.

The JSON of a report is also what a worker whose supervisor is gone leaves behind as a file. Keys of a newer jobd are
passed over and missing ones take their defaults, because a worker may outlive the jobd it was started by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import Any

from jobd.core.model import (
    Action,
    AttemptKey,
    Call,
    Command,
    Directive,
    Ending,
    Finished,
    Json,
    Limits,
    ProcessIdentity,
    Python,
    Sandbox,
    Seen,
    Shell,
    Usage,
)
from jobd.core.spans import from_micros, micros
from jobd.core.states import Outcome, Trigger
from jobd.work.orders import Order


@dataclass(frozen=True, slots=True)
class Hire:
    """To the forkserver: fork worker `number`; its end of a socket pair and its tally come along."""

    number: int
    settings: Mapping[str, Json] = field(default_factory=dict)
    """What jobd.yaml says to executors now."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From the forkserver, once: it runs, and this is what reaches the processes of an attempt."""

    pid: int
    containment: str


@dataclass(frozen=True, slots=True)
class Hired:
    number: int
    worker: ProcessIdentity


@dataclass(frozen=True, slots=True)
class NotHired:
    """From the forkserver: the kernel refused to fork."""

    number: int
    error: str


@dataclass(frozen=True, slots=True)
class Gone:
    """From the forkserver: a worker has ended, and so has every process of its attempts, except for `left`."""

    number: int
    pid: int
    status: int
    """Exit code, or minus the signal."""
    left: tuple[int, ...] = ()
    """Processes that could not be ended (no permission, or stuck in the kernel)."""


@dataclass(frozen=True, slots=True)
class Orders:
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """To a worker: these reports are durable."""

    keys: tuple[AttemptKey, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """To a worker: end this attempt, and no other, with this outcome."""

    key: AttemptKey
    outcome: Outcome
    unless_begun: bool = False
    """Where it has begun it goes on: it was only to be had elsewhere sooner."""


@dataclass(frozen=True, slots=True)
class Retire:
    """To a worker: end once all orders are executed and reported."""


@dataclass(frozen=True, slots=True)
class Hello:
    """From a worker that lost its supervisor: who it is and what it is still at."""

    number: int
    worker: ProcessIdentity
    key: AttemptKey | None
    child: ProcessIdentity | None
    started_at: datetime | None
    kill_after_seconds: float = 10.0
    """Of the attempt's job."""


@dataclass(frozen=True, slots=True)
class Started:
    """From a worker: the attempt is under way. `child` None means in the worker itself."""

    key: AttemptKey
    child: ProcessIdentity | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    finished: tuple[Finished, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """From a worker: what an attempt says of how far it is (0 to 1) and what it does, and the time it has gained."""

    key: AttemptKey
    fraction: float | None = None
    text: str = ""
    extended_seconds: float | None = None
    """How long from now on it may run; None where that is what it was from the start."""


Message = (
    Hire | Ready | Hired | NotHired | Gone | Orders | Acknowledged | Stop | Retire | Hello | Started | Report | Progress
)
_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Hire, Ready, Hired, NotHired, Gone, Orders, Acknowledged, Stop, Retire, Hello, Started, Report, Progress
    )
}  # fmt: skip
_ACTIONS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Command, Shell, Python, Call)}
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False).encode
_ABSENT = object()
_MOST_CARRIED = 4 * 1024 * 1024


def _plan(kind: type[Any], **made: Any) -> tuple[tuple[str, Any], ...]:
    """The names of a dataclass' fields, each with the default that need not be sent."""
    return tuple(
        (field.name, made.get(field.name, _ABSENT if field.default is MISSING else field.default))
        for field in fields(kind)
    )


_PLANS = {kind: _plan(kind) for kind in (*_KINDS.values(), Order, Usage, Limits, Sandbox)} | {
    Ending: _plan(Ending, usage=Usage())
}
_NAMES = {kind: frozenset(name for name, _ in plan) for kind, plan in _PLANS.items()}


def bundles(orders: Iterable[Order]) -> Iterator[Orders]:
    """These orders in as few messages as go: what they carry, results of other runs above all, fits no one frame."""
    some: list[Order] = []
    size = 0
    for order in orders:
        carried = len(order.payload) + len(order.parents)
        if some and size + carried > _MOST_CARRIED:
            yield Orders(tuple(some))
            some, size = [], 0
        some.append(order)
        size += carried
    if some:
        yield Orders(tuple(some))


def to_bytes(message: Message) -> bytes:
    """The message as one JSON object."""
    plain = _plain(message) | {"is": type(message).__name__}
    return _json(plain) if isinstance(message, Orders) else _plain_text(plain)


def from_bytes(data: bytes) -> Message:
    """The message that `to_bytes` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    values = json.loads(data.decode(errors="surrogatepass"))
    made: Message = _build(_KINDS[values.pop("is")], values)
    return made


def report_to_bytes(finished: Finished) -> bytes:
    """One report as the text of an outcome file."""
    return _plain_text(_finished(finished))


def report_from_bytes(data: bytes) -> Finished:
    """The report in an outcome file. Raises ValueError, KeyError or TypeError for anything else."""
    return _read_finished(json.loads(data.decode(errors="replace")))


def _json(value: Any) -> bytes:
    return _encode(value).encode(errors="surrogatepass")


def _plain_text(value: Any) -> bytes:
    """JSON of what jobs may have had a say in: half a surrogate pair, which the store refuses, becomes a "?"."""
    return _encode(value).encode(errors="replace")


def _plain(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, as JSON has them."""
    plain: dict[str, Any] = {}
    for name, default in _PLANS[type(value)]:
        item = getattr(value, name)
        if item is default or item == default:
            continue
        writer = _WRITERS.get(type(item))
        plain[name] = item if writer is None or name in _AS_THEY_ARE else writer(item)
    return plain


def _build(kind: type[Any], values: dict[str, Any]) -> Any:
    names, made = _NAMES[kind], {}
    for name, value in values.items():
        if name in names:
            reader = _READERS.get(name)
            made[name] = value if reader is None or value is None else reader(value)
    return kind(**made)


def _sequence(values: tuple[Any, ...]) -> list[Any]:
    return [writer(value) if (writer := _WRITERS.get(type(value))) else value for value in values]


def _finished(finished: Finished) -> list[Any]:
    return [finished.key.run, finished.key.attempt, _plain(finished.ending)]


def _read_finished(value: list[Any]) -> Finished:
    return Finished(AttemptKey(value[0], value[1]), _build(Ending, value[2]))


def _action(action: Action) -> dict[str, Any]:
    match action:
        case Command(argv):
            return {"kind": "Command", "argv": argv}
        case Shell(text):
            return {"kind": "Shell", "text": text}
        case Python(target):
            return {"kind": "Python", "target": target}
        case Call(of, options):
            return {"kind": "Call", "of": of, "options": options}


def _read_action(value: dict[str, Any]) -> Action:
    kind = _ACTIONS[value["kind"]]
    if kind is Call:
        return Call(value["of"], value["options"])
    rest = {name: tuple(item) if isinstance(item, list) else item for name, item in value.items() if name != "kind"}
    action: Action = kind(**rest)
    return action


def _key(key: AttemptKey) -> list[int]:
    return [key.run, key.attempt]


def _read_key(value: list[int]) -> AttemptKey:
    return AttemptKey(value[0], value[1])


def _identity(identity: ProcessIdentity) -> list[Any]:
    return [identity.boot_id, identity.pid, identity.start_ticks]


def _read_identity(value: list[Any]) -> ProcessIdentity:
    return ProcessIdentity(value[0], value[1], value[2])


_AS_THEY_ARE = frozenset({"result", "env", "success_exit_status"})
"""Fields whose values are JSON already."""
_WRITERS: dict[type[Any], Any] = {
    AttemptKey: _key,
    ProcessIdentity: _identity,
    datetime: micros,
    Command: _action,
    Shell: _action,
    Python: _action,
    Call: _action,
    Order: _plain,
    Usage: _plain,
    Limits: _plain,
    Sandbox: _plain,
    Finished: _finished,
    Directive: lambda directive: [directive.kind, directive.delay_seconds, directive.reason],
    Seen: lambda seen: [seen.pid, seen.parent, seen.name, seen.state, seen.wchan, seen.command],
    tuple: _sequence,
}
_READERS: dict[str, Any] = {
    "key": _read_key,
    "worker": _read_identity,
    "child": _read_identity,
    "at": from_micros,
    "slot": from_micros,
    "started_at": from_micros,
    "finished_at": from_micros,
    "outcome": Outcome,
    "trigger": Trigger,
    "action": _read_action,
    "usage": lambda value: _build(Usage, value),
    "limits": lambda value: _build(Limits, value),
    "sandbox": lambda value: _build(Sandbox, value),
    "read_write_paths": tuple,
    "drop_capabilities": tuple,
    "directive": lambda value: Directive(value[0], value[1], value[2]),
    "finished": lambda value: tuple(_read_finished(item) for item in value),
    "orders": lambda value: tuple(_build(Order, item) for item in value),
    "keys": lambda value: tuple(_read_key(item) for item in value),
    "left": tuple,
    "snapshot": lambda value: tuple(Seen(*item) for item in value),
    "env": lambda value: tuple((name, text) for name, text in value),
    "secrets": lambda value: tuple((name, source) for name, source in value),
    "success_exit_status": tuple,
    "env_files": tuple,
}

"""The kinds of work there are: what an executor is, and where one is found by its key in a definition.

A kind is an entry point of the group `jobd.executors`. Those that come with jobd are listed here as well, so that
nobody has to look through every installed package for them; the others are looked up when a key is met that is none
of jobd's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Protocol

from jobd.core import brought
from jobd.core.brought import Unusable
from jobd.core.model import Action, Call, Json

GROUP = "jobd.executors"
BUILT_IN = {
    "command": "jobd.work.executors.command:executor",
    "shell": "jobd.work.executors.shell:executor",
    "python": "jobd.work.executors.python:executor",
    "http": "jobd.work.executors.http:executor",
    "webhook": "jobd.work.executors.webhook:executor",
    "sql": "jobd.work.executors.sql:executor",
    "email": "jobd.work.executors.email:executor",
}

OWN = {"jobd.notify": "jobd.work.executors.channel:executor"}
"""What jobd itself has done; no definition can name it."""

Fault = tuple[list[str | int], str]
"""The steps that lead to a value, and what is wrong with it."""


class Misread(ValueError):
    """What is wrong with the words of a job or with a payload: everything at once, each with its place."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(message for _, message in faults))
        self.faults = faults


class Failed(Exception):
    """Raised by an executor whose work did not succeed, where there is more to say than an exception does."""

    def __init__(
        self,
        error: str,
        *,
        exit_code: int = 1,
        retryable: bool = True,
        retry_in_seconds: float | None = None,
        result: Json = None,
    ) -> None:
        super().__init__(error)
        self.exit_code = exit_code
        self.retryable = retryable
        """False where trying again cannot help."""
        self.retry_in_seconds = retry_in_seconds
        """When to try again, where the other side said so; otherwise it is for the job's own policy to say."""
        self.result = result


class Context(Protocol):
    """The attempt, as whoever is called may see it and speak of it."""

    @property
    def run_id(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def job(self) -> str: ...

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the work is, from 0 to 1."""

    def log(self, text: str) -> None:
        """Write one line to the attempt's stderr at once."""


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt, for the executor that is called."""

    options: Json
    """What `read` returned when the definition was loaded."""
    payload: Json
    context: Context
    settings: Mapping[str, Json] = field(default_factory=dict)
    """What jobd.yaml says to executors: `http_deny`, and whatever joins it."""
    output_max_bytes: int = 1024 * 1024


class Executor:
    """A kind of work. Subclass it, and name an instance under its key in the entry point group `jobd.executors`.

    One instance serves the daemon, which reads definitions and payloads with it, and each worker, which runs with it:
    what it remembers in one is not there in the other. Import what is heavy inside `run`.
    """

    schema: ClassVar[dict[str, Any]] = {}
    """JSON Schema (2020-12) of what stands below the key: shown to editors and, but for jobd's own, checked first."""

    def read(self, value: Json) -> Json:
        """The options that a job is kept with, as JSON. Raises ValueError, or Misread with places below the key."""
        return value

    def action(self, kind: str, value: Json) -> Action:
        """What a job runs whose key says `value`: a call of this executor, where it is not a program after all."""
        return Call(kind, self.read(value))

    def faults(self, action: Action, payload: Json) -> Sequence[Fault]:  # noqa: ARG002 - for others to say
        """What is wrong with the payload of a run that somebody submits, each with the steps to its place."""
        return ()

    def prepare(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Import what `run` needs, and return the settings it will see.

        Called where the work is done in an interpreter of its own, before that becomes a user who may see less. Raises
        Failed.
        """
        return settings

    def run(self, work: Work) -> Json:
        """Do it, in a worker. Returns the result of the run; raises Failed, a verdict, or anything, which is a failure.

        What is written to `sys.stdout` and `sys.stderr` is the output of the attempt.
        """
        raise NotImplementedError


def installed() -> tuple[str, ...]:
    """The keys of every kind of work on this host. Looks through all packages, the first time."""
    return (*BUILT_IN, *_others())


def is_kind(key: str) -> bool:
    """Whether a key names a kind of work; only one that is none of jobd's own is looked for in other packages."""
    return key in BUILT_IN or key in _others()


def find(kind: str) -> Executor:
    """The executor of a kind. Raises Unusable, with the reason, where there is none or it cannot be loaded."""
    return _loaded(kind)


def faults(action: Action, payload: Json) -> Sequence[Fault]:
    """What the executor of a job finds wrong with a payload."""
    try:
        return find(action.kind).faults(action, payload)
    except Unusable as error:
        return [([], f"cannot be judged: {error}")]
    except Misread as misread:
        return misread.faults


@cache
def _loaded(kind: str) -> Executor:
    target = BUILT_IN.get(kind) or OWN.get(kind) or _others().get(kind)
    if target is None:
        raise Unusable(f"no package on this host brings an executor for {kind}")
    found: Any = brought.load(target, f"the executor for {kind}")
    if not isinstance(found, Executor):
        raise Unusable(f"the executor for {kind} ({target}) is a {type(found).__name__}, not a jobd.Executor")
    return found


@cache
def _others() -> Mapping[str, str]:
    """The kinds that other packages bring; none takes a key of jobd's own."""
    return {kind: target for kind, target in brought.targets(GROUP).items() if kind not in BUILT_IN}

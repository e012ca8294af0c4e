"""What clients ask of jobd, as plain values: the control edge makes them, the tick applies them, the commit answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from jobd.core.audit import Result
from jobd.core.model import Json, RunRequest
from jobd.core.queues import Change
from jobd.core.records import DeadFilter
from jobd.core.roles import Role


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: fixed when the connection was accepted."""

    uid: int
    gid: int
    pid: int
    user: str
    """The user's name, or the uid as text where it has none."""
    role: Role = Role.VIEWER
    executable: str = ""
    """What it was running then, as far as that could be told."""

    def owns(self, owner: str | None) -> bool:
        return owner is not None and owner == self.user


@dataclass(frozen=True, slots=True)
class Submit:
    """Accept every one of these runs, or none. Answer: list[Accepted], in order."""

    actor: Actor
    requests: tuple[RunRequest, ...]


@dataclass(frozen=True, slots=True)
class CancelRun:
    """End a run: at once if it waits, by killing its attempt if it runs. Answer: the RunState it has now."""

    actor: Actor
    run: int


@dataclass(frozen=True, slots=True)
class RetryRun:
    """Queue a run again that ended failed or cancelled, attempts counted on. Answer: the RunState it has now."""

    actor: Actor
    run: int
    payload: Json = None
    replaces_payload: bool = False


@dataclass(frozen=True, slots=True)
class RetryDead:
    """Queue the runs of dead letters again, attempts counted on, mostly with what they carried. Answer: a Handled."""

    actor: Actor
    which: DeadFilter
    payload: Json = None
    replaces_payload: bool = False


@dataclass(frozen=True, slots=True)
class DropDead:
    """Put dead letters away: their runs stay failed, and in the history. Answer: a Handled."""

    actor: Actor
    which: DeadFilter


@dataclass(frozen=True, slots=True)
class Pause:
    """Let nothing start of a job, a queue (`kind`) or everything (queue `*`). Answer: None."""

    actor: Actor
    kind: Literal["job", "queue"]
    name: str
    until: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """End a pause, and close the circuit of a job. Answer: whether there was anything to end."""

    actor: Actor
    kind: Literal["job", "queue"]
    name: str


@dataclass(frozen=True, slots=True)
class SkipNext:
    """Skip the next slot of a job, or (`undo`) take back the slots that were to be skipped. Answer: these slots."""

    actor: Actor
    job: str
    undo: bool = False


@dataclass(frozen=True, slots=True)
class SetQueue:
    """Set limits of a queue in place of jobd.yaml's, or take back what was set. Answer: None."""

    actor: Actor
    queue: str
    change: Change


@dataclass(frozen=True, slots=True)
class CancelJob:
    """End unfinished runs of a job, many at once. Answer: a Handled."""

    actor: Actor
    job: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Keep in the audit trail what was done, or denied, outside of a transaction. Answer: None."""

    actor: Actor
    did: str
    on: str = ""
    detail: str = ""
    result: Result = "done"
    times: int = 1


@dataclass(frozen=True, slots=True)
class TestChannel:
    """Send a message through a channel, so that somebody sees whether it arrives. Answer: an Accepted."""

    __test__ = False  # for pytest, which looks at names
    actor: Actor
    channel: str


Intent = (
    Submit
    | CancelRun
    | RetryRun
    | RetryDead
    | DropDead
    | Pause
    | Resume
    | SkipNext
    | SetQueue
    | CancelJob
    | Noted
    | TestChannel
)


@dataclass(frozen=True, slots=True)
class Handled:
    """The dead letters that were acted on, and whether the filter leaves more: then the same is to be asked again."""

    runs: tuple[int, ...]
    is_partial: bool = False
    held: tuple[int, ...] = ()
    """Those that stay, because other runs hold their unique keys; told with the last part."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The durable answer to one submitted run."""

    id: int
    state: str
    duplicate: bool = False
    """The key was known: `id` is the run that holds it, and nothing new was made."""
    replaced: bool = False
    """A duplicate, whose payload, time and priority the run that holds the key has taken over."""

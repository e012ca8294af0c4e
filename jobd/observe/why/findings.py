"""What every answer to `why` is made of, and how the checks that know the reasons are asked in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from jobd.core.spans import EPOCH, rfc3339, show_seconds
from jobd.core.zones import Zone

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that stands in the way.

    `kind` says what `id` names: run, slot, job, queue, worker, file, daemon, rate_limit (`queue:NAME`), resource, or
    late (a check of `expect`).
    """

    kind: str
    id: int | str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason: a machine word, a sentence, what stands in the way, and when that ends where that is known."""

    reason: str
    detail: str
    blockers: tuple[Blocker, ...] = ()
    until: datetime | None = None
    about: int | str | None = None
    """What it names where it is told beside another reason."""


Check = Callable[[Facts], Finding | None]


@dataclass(frozen=True, slots=True)
class Host:
    """The daemon as far as it decides whether anything starts."""

    now: datetime
    zone: Zone
    draining: bool = False
    storage_problem: str | None = None
    workers_busy: int = 0
    workers_max: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """A pause of a job or of a queue, or an open circuit."""

    kind: str
    """`job` or `queue`."""
    name: str
    reason: str = "paused"
    by: str = ""
    note: str = ""
    since: datetime | None = None
    until: datetime | None = None


def first(checks: Iterable[Check[Facts]], facts: Facts) -> Finding | None:
    """The first reason that holds."""
    return next((found for check in checks if (found := check(facts)) is not None), None)


def together(checks: Iterable[Check[Facts]], facts: Facts) -> Finding | None:
    """The first reason that holds, with all others that hold too among what stands in the way."""
    found = [one for check in checks if (one := check(facts)) is not None]
    if not found:
        return None
    others = tuple(Blocker(one.reason, one.about, one.detail) for one in found[1:])
    return replace(found[0], blockers=found[0].blockers + others)


def shape(subject: str, finding: Finding) -> dict[str, Any]:
    """The answer as INTERFACES.md has it."""
    return {
        "subject": subject,
        "reason": finding.reason,
        "detail": finding.detail,
        "blockers": [{"kind": one.kind, "id": one.id, "detail": one.detail} for one in finding.blockers],
        "until": None if finding.until is None else rfc3339(finding.until),
    }


def draining(host: Host) -> Finding | None:
    if not host.draining:
        return None
    blocker = Blocker("daemon", None, "jobd is shutting down")
    return Finding("draining", "jobd is shutting down and starts nothing any more", (blocker,))


def storage(host: Host) -> Finding | None:
    if host.storage_problem is None:
        return None
    blocker = Blocker("daemon", None, host.storage_problem)
    return Finding("storage", f"the store cannot be written, so nothing can start: {host.storage_problem}", (blocker,))


def held(hold: Hold, host: Host) -> Finding:
    """What is said of a pause or of an open circuit."""
    what = (
        f"the circuit of job {hold.name} is open after failures in a row"
        if hold.reason == "circuit"
        else _paused(hold, host)
    )
    until = f" until {clock(hold.until, host.zone)}" if hold.until else " until somebody resumes it"
    note = f' ("{hold.note}")' if hold.note else ""
    blocker = Blocker(hold.kind, hold.name, f"{hold.reason}{until}")
    return Finding(hold.reason, f"{what}{until}{note}", (blocker,), hold.until)


def _paused(hold: Hold, host: Host) -> str:
    since = f" at {clock(hold.since, host.zone)}" if hold.since else ""
    by = f" by {hold.by}" if hold.by else ""
    what = "everything is" if hold.name == "*" else f"{hold.kind} {hold.name} is"
    return f"{what} paused{by}{since}" if by or since else f"{what} paused"


def clock(at: datetime, zone: Zone) -> str:
    """An instant on the wall clock of a zone, with its offset: `2026-03-29 03:00:00 +0200`."""
    return f"{zone.local((at - EPOCH).days * 86400 + (at - EPOCH).seconds):%Y-%m-%d %H:%M:%S %z}"


def span(start: datetime, end: datetime) -> str:
    return show_seconds(max(0.0, (end - start).total_seconds()))


def numbered(runs: Sequence[int], most: int = 8) -> str:
    """Runs as `#12 #13 #14`, with a word about those that are left out."""
    shown = " ".join(f"#{run}" for run in runs[:most])
    return f"{shown} and {len(runs) - most} more" if len(runs) > most else shown

"""What is said of a run that waits for a token of a rate limit, or for resources that others have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobd.core.buckets import Use
from jobd.observe.why.findings import Blocker, Finding, Host, clock, numbered, span


@dataclass(frozen=True, slots=True)
class Dry:
    """A rate limit without a token: of a `queue` or of a `job`."""

    kind: str
    name: str
    use: Use


@dataclass(frozen=True, slots=True)
class Short:
    """A resource of which a run wants more than is left."""

    name: str
    wanted: int
    total: int
    """How much there is."""
    holders: tuple[tuple[int, int], ...]
    """The runs that have some of it, and how much."""

    @property
    def taken(self) -> int:
        return sum(amount for _, amount in self.holders)


def rate_limited(dry: Sequence[Dry], host: Host) -> Finding:
    """No token is there; where two limits lack one, the later token decides."""
    until = max(one.use.next_at for one in dry)
    told = " and ".join(f"{one.kind} {one.name} may start {one.use.limit}" for one in dry)
    when = f"the next token is there at {clock(until, host.zone)}, in {span(host.now, until)}"
    blockers = tuple(Blocker("rate_limit", f"{one.kind}:{one.name}", _tokens(one.use, host)) for one in dry)
    return Finding("rate_limit", f"{told}: {when}", blockers, until, about=blockers[0].id)


def _tokens(use: Use, host: Host) -> str:
    return f"{use.limit}: {use.current} of {use.limit.burst} used, next token in {span(host.now, use.next_at)}"


def short(lacks: Sequence[Short]) -> Finding:
    """Others have what it uses: the runs that do are named."""
    told = " and ".join(_lack(one) for one in lacks)
    blockers = [Blocker("resource", one.name, f"{one.taken}/{one.total} taken, {one.wanted} wanted") for one in lacks]
    blockers += [
        Blocker("run", run, f"has {amount} of {one.name}") for one in lacks for run, amount in one.holders[:100]
    ]
    return Finding("resource", told, tuple(blockers), about=lacks[0].name)


def _lack(one: Short) -> str:
    wanted = "" if one.wanted == 1 else f", {one.wanted} wanted"
    return f"resource {one.name} is taken, {one.taken}/{one.total}{wanted}: {numbered([run for run, _ in one.holders])}"

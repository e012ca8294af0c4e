"""What becomes of a slot while runs of its job wait or run (SEMANTICS, Overlap)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Policy = Literal["skip", "queue", "replace", "allow"]


@dataclass(frozen=True, slots=True)
class Active:
    """The runs of a job that are not final, as ids, and how many of them may run at once (None: any number)."""

    waiting: tuple[int, ...] = ()
    running: tuple[int, ...] = ()
    max_running: int | None = None
    from_slots: tuple[int, ...] | None = None
    """Those of `waiting` that a schedule made and that were never started: only these give way to a newer slot under
    `queue`. None says all of them."""

    @property
    def oldest(self) -> int | None:
        """The run that a slot is blocked by: a running one if there is one."""
        return next(iter(self.running + self.waiting), None)


@dataclass(frozen=True, slots=True)
class Go:
    """The slot gets a run. The runs in `replaces` are cancelled; `supersedes` says that earlier slots of the same plan
    need none any more."""

    replaces: tuple[int, ...] = ()
    supersedes: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """The slot gets no run, because of the run `blocked_by` or (None) the run of an earlier slot of the same plan."""

    blocked_by: int | None


def meet(policy: Policy, active: Active, planned: int) -> Go | Skip:
    """Decide a slot that comes due while runs are active and `planned` earlier slots of the same plan get a run."""
    match policy:
        case "skip":
            return Skip(active.oldest) if planned or active.oldest is not None else Go()
        case "queue":
            return Go(active.waiting if active.from_slots is None else active.from_slots, supersedes=True)
        case "replace":
            return Go(active.running + active.waiting, supersedes=True)
        case "allow":
            count = len(active.running) + len(active.waiting) + planned
            full = active.max_running is not None and count >= active.max_running
            return Skip(active.oldest) if full else Go()

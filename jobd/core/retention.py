"""How long history is kept: which ended runs may go, decided over plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobd.core.states import RunState

KEY_HELD = timedelta(hours=24)
"""How long a client's idempotency key holds at the least, and its run with it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long runs are kept after their end, by how they ended; None is for ever."""

    succeeded: timedelta | None = timedelta(days=30)
    """Also for runs that were cancelled, skipped or expired."""
    failed: timedelta | None = timedelta(days=90)
    keep_last: int = 1
    """Of each job so many successes and so many failures stay, however old."""
    output_max_bytes: int | None = 1024**3
    """All captured output together; the oldest goes first."""
    audit: timedelta | None = timedelta(days=365)
    """How long entries of the audit trail are kept."""

    def of(self, state: RunState) -> timedelta | None:
        return self.failed if state is RunState.FAILED else self.succeeded

    def shortest(self) -> timedelta | None:
        """Nothing that ended less than this long ago goes; None: nothing ever goes."""
        return min((span for span in (self.succeeded, self.failed) if span is not None), default=None)

    def of_slots(self) -> timedelta | None:
        """Rows of slots stay as long as any run of theirs could."""
        if self.succeeded is None or self.failed is None:
            return None
        return max(self.succeeded, self.failed)


@dataclass(frozen=True, slots=True)
class Ended:
    """What has to be known of a run to say whether it may go."""

    run: int
    job: int
    state: RunState
    created_at: datetime
    finished_at: datetime | None
    attempts: int
    has_key: bool
    is_dead: bool
    """An open dead letter of it waits for somebody."""
    is_awaited: bool = False
    """A run that waits is to be handed its result."""
    unique_until: datetime | None = None
    """Its unique key holds until then."""


@dataclass(slots=True)
class Pruned:
    """What has been forgotten, counted up while it goes on."""

    runs: int = 0
    slots: int = 0
    output_bytes: int = 0


def is_old(run: Ended, policy: Retention, now: datetime) -> bool:
    """Whether the history may forget a run, were it not among the last of its job."""
    span = policy.of(run.state)
    if run.finished_at is None or span is None or run.is_dead or run.is_awaited or now - run.finished_at < span:
        return False
    if run.unique_until is not None and now < run.unique_until:
        return False
    return not (run.has_key and now - run.created_at < KEY_HELD)

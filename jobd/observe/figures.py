"""What metrics and health are made of: the state of jobd at one moment, as its parts tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jobd.core.buckets import Use
from jobd.core.lateness import Check
from jobd.core.queues import NO_LIMITS, Limits
from jobd.core.records import JobStanding, QueueFigures


@dataclass(frozen=True, slots=True)
class Lane:
    """The limits of a queue in force, how far its rate is used up, and what is in it (None: nothing ever was)."""

    limits: Limits = NO_LIMITS
    use: Use | None = None
    figures: QueueFigures | None = None


@dataclass(frozen=True, slots=True)
class JobFigures:
    """A defined job: whether it is enabled, when it is due, and what the store remembers of it."""

    enabled: bool
    next_at: datetime | None
    standing: JobStanding | None
    checks: tuple[Check, ...] = ()
    """What of `expect` it is held to."""


@dataclass(frozen=True, slots=True)
class Figures:
    now: datetime
    jobs: Mapping[str, JobFigures] = field(default_factory=dict)
    """Defined jobs, or as many of them as metrics show, the first by name."""
    enabled: int = 0
    """How many jobs are defined and not disabled, and below how many are."""
    disabled: int = 0
    queues: Mapping[str, Lane] = field(default_factory=dict)
    workers: Mapping[str, int] = field(default_factory=dict)
    """Number of workers by state."""
    degraded: tuple[tuple[str, str], ...] = ()
    """(machine word, sentence) of everything that is not well."""
    definition_errors: int = 0
    last_good_reload_at: datetime | None = None
    """When definitions were last read without a problem."""
    last_reload_ok: bool = True
    store_bytes: int = 0
    wal_bytes: int = 0
    disk_free_bytes: int | None = None
    """What is left of the disk of the database, as far as jobd may use it; None where that cannot be told."""
    disk_bytes: int | None = None

"""What holds for a queue: its limits as jobd.yaml declares them, and what somebody set in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobd.core import buckets
from jobd.core.buckets import Rate

MOST_RUNNING = 100_000
NO_LIMIT = "none"
"""Sets that there is no limit."""
DECLARED = "default"
"""Takes back what was set, like null: what jobd.yaml says holds again."""
KEYS = ("max_running", "rate_limit", "draining")


@dataclass(frozen=True, slots=True)
class Limits:
    """What binds the runs of a queue."""

    max_running: int | None = None
    rate: Rate | None = None

    @property
    def words(self) -> dict[str, Any]:
        """As YAML and JSON write them; null is no limit."""
        return {"max_running": self.max_running, "rate_limit": self.rate and self.rate.words}


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class QueueSet:
    """What somebody set of a queue: only the keys that are there; null is no limit."""

    settings: Mapping[str, Any]
    at: datetime
    by: str

    @property
    def is_draining(self) -> bool:
        """The queue takes no new runs; those that it has are served."""
        return bool(self.settings.get("draining"))


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be set of a queue, and of which keys what was set is taken back."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    reset: tuple[str, ...] = ()

    def applied(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What is set of the queue afterwards."""
        return {key: value for key, value in {**settings, **self.settings}.items() if key not in self.reset}

    def __str__(self) -> str:
        told = {key: NO_LIMIT if value is None else value for key, value in self.settings.items()}
        return " ".join(
            f"{key}={_shown(value)}" for key, value in {**told, **dict.fromkeys(self.reset, DECLARED)}.items()
        )


def _shown(value: Any) -> str:
    if value is True:
        return "true"
    return str(buckets.rate(value)) if isinstance(value, Mapping) else str(value)


def in_force(declared: Limits, asked: QueueSet | None) -> Limits:
    """The limits of a queue: what was set of it goes before what jobd.yaml says."""
    if asked is None:
        return declared
    words = {**declared.words, **asked.settings}
    rate = words["rate_limit"]
    return Limits(words["max_running"], None if rate is None else buckets.rate(rate))


def setting(key: str, value: Any) -> Any:
    """A value to be set, in the words of `Limits.words`. Raises ValueError with a hint."""
    if key == "draining":
        if value is not True:
            raise ValueError("must be true, or default for a queue that takes runs")
        return True
    if value == NO_LIMIT:
        return None
    if key == "rate_limit":
        return buckets.rate(value).words
    if type(value) is not int or not 1 <= value <= MOST_RUNNING:
        raise ValueError(f"must be a whole number from 1 to {MOST_RUNNING}, none or default (pause lets nothing start)")
    return value

"""Rate limits as token buckets: how many runs may start now, and when the next one may. Values in, values out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_RATE = re.compile(rf"([0-9]{{1,7}})/({'|'.join(_UNITS)})", re.ASCII)
_SHOWN = {1: "sec", 60: "min", 3600: "hour"}
_MOST = 1_000_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many starts in so many seconds on the whole, at most `burst` of them at once."""

    count: int
    seconds: int
    burst: int

    def __str__(self) -> str:
        text = f"{self.count}/{_SHOWN[self.seconds]}"
        return text if self.burst == self.count else f"{text}, burst {self.burst}"

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    @property
    def words(self) -> str | dict[str, Any]:
        """As YAML and JSON write it, and `rate` reads it."""
        text = f"{self.count}/{_SHOWN[self.seconds]}"
        return text if self.burst == self.count else {"rate": text, "burst": self.burst}


def rate(value: Any) -> Rate:
    """The rate of `100/min` or `{rate: 100/min, burst: 10}`. Raises ValueError with a hint."""
    if isinstance(value, Mapping):
        if "rate" not in value or value.keys() - {"rate", "burst"}:
            raise ValueError("a rate limit with a burst is written {rate: 100/min, burst: 10}")
        plain = rate(value["rate"])
        burst = value.get("burst", plain.burst)
        if isinstance(burst, bool) or not isinstance(burst, int) or not 1 <= burst <= _MOST:
            raise ValueError(f"burst must be a whole number from 1 to {_MOST}")
        return Rate(plain.count, plain.seconds, burst)
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 1 <= int(match[1]) <= _MOST:
        raise ValueError("not a rate limit (try 10/sec, 100/min or 5/hour)")
    return Rate(int(match[1]), _UNITS[match[2]], int(match[1]))


@dataclass(frozen=True, slots=True)
class Level:
    """How many tokens a bucket held at an instant."""

    tokens: float
    at: datetime


def level(limit: Rate, last: Level | None, now: datetime) -> Level:
    """What the bucket holds now. One that was never used is full.

    A level that lies ahead was written before the clock was set back: nothing is added for that time, and from now on
    the bucket fills as ever.
    """
    if last is None:
        return Level(float(limit.burst), now)
    passed = max(0.0, (now - last.at) / _MICROSECOND / 1e6)
    return Level(min(float(limit.burst), last.tokens + passed * limit.per_second), now)


def whole(held: Level) -> int:
    """How many runs may start."""
    return max(0, math.floor(held.tokens))


def take(held: Level, count: int) -> Level:
    """What is left once so many have started."""
    return Level(held.tokens - count, held.at)


def next_at(limit: Rate, held: Level) -> datetime:
    """When the next run may start: at once, or when the next token is whole."""
    missing = max(0.0, 1.0 - held.tokens)
    return held.at + math.ceil(missing / limit.per_second * 1e6) * _MICROSECOND


@dataclass(frozen=True, slots=True)
class Use:
    """How far a rate limit is used up now."""

    limit: Rate
    held: Level

    @property
    def current(self) -> int:
        """How many starts of the burst are used up: at `limit.burst`, the next run has to wait."""
        return self.limit.burst - whole(self.held)

    @property
    def is_up(self) -> bool:
        return self.current >= self.limit.burst

    @property
    def percentage(self) -> float:
        return round(100.0 * self.current / self.limit.burst, 1)

    @property
    def words(self) -> dict[str, float]:
        """How reports have it."""
        return {"current": self.current, "max": self.limit.burst, "percentage": self.percentage}

    @property
    def next_at(self) -> datetime:
        return next_at(self.limit, self.held)


def use(limit: Rate, last: Level | None, now: datetime) -> Use:
    """How far a limit is used up, by what its bucket held last."""
    return Use(limit, level(limit, last, now))

"""How fast users submit: a bucket of tokens for each, as deep as a second is long."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobd.core.errors import JobdError

_MOST_USERS = 10_000


class TooFast(JobdError):
    """A user submits faster than policy allows; after `wait_seconds` there is room again."""

    def __init__(self, message: str, wait_seconds: float) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


@dataclass(slots=True)
class Tempo:
    """What each user may still submit at once, and since when that was so."""

    _left: dict[int, tuple[float, float]] = field(default_factory=dict)

    def take(self, uid: int, count: int, rate: int, now: float) -> float:
        """Take `count` runs at `rate` a second: 0, or the seconds after which they could be taken (and nothing taken).

        A batch larger than a second's worth passes a full bucket, and whoever sent it waits the longer for the next.
        """
        left, since = self._left.get(uid, (float(rate), now))
        left = min(float(rate), left + (now - since) * rate)
        needed = min(count, rate)
        if left < needed:
            return (needed - left) / rate
        if len(self._left) >= _MOST_USERS and uid not in self._left:
            self._left.pop(next(iter(self._left)))
        self._left[uid] = (left - count, now)
        return 0.0

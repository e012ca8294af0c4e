"""What a Python job may raise to say how its run goes on."""

from __future__ import annotations

from datetime import timedelta


def _seconds(delay: float | timedelta) -> float:
    return delay.total_seconds() if isinstance(delay, timedelta) else float(delay)


class Verdict(Exception):
    """The job's own word about its run; not a failure of the job."""


class Retry(Verdict):
    """Try again after `delay` (seconds or a timedelta); the attempt counts."""

    def __init__(self, delay: float | timedelta, reason: str = "") -> None:
        super().__init__(reason)
        self.delay_seconds = _seconds(delay)


class Snooze(Verdict):
    """Try again after `delay` (seconds or a timedelta); no attempt is spent."""

    def __init__(self, delay: float | timedelta, reason: str = "") -> None:
        super().__init__(reason)
        self.delay_seconds = _seconds(delay)


class Cancel(Verdict):
    """End the run as cancelled."""


class Discard(Verdict):
    """End the run as failed, whatever attempts are left."""

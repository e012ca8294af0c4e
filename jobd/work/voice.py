"""What an attempt says while it is watched, and what that means for it: signs of life, more time, progress."""

from __future__ import annotations

from jobd.core import notify
from jobd.core.notify import Said
from jobd.work.ear import Ear
from jobd.work.line import Line
from jobd.work.orders import Order, timed_out

_MOST_A_SECOND = 100


class Voice:
    """The instants by which an attempt must be over or have said something; monotonic clock throughout."""

    def __init__(self, order: Order, line: Line, ear: Ear | None, now: float) -> None:
        self._order, self._line, self._ear, self._began = order, line, ear, now
        self._deadline = now + order.timeout_seconds if order.timeout_seconds else None
        self._silent_at = now + order.watchdog_seconds if order.watchdog_seconds else None
        self._has_given_up = self._is_extended = False
        self._second, self._messages = now, 0
        self.deaf_until: float | None = None
        """Nothing is heard until then: it says more than anybody wants to know, and whoever says it has to wait."""

    def fileno(self) -> int:
        return -1 if self._ear is None else self._ear.fileno()

    @property
    def next_at(self) -> float | None:
        """When to judge again, if nothing is heard before."""
        return min((at for at in (self._deadline, self._silent_at) if at is not None), default=None)

    def fault(self, now: float) -> str | None:
        """Why its time is over, if it is."""
        if self._has_given_up:
            return "it asked to be ended (WATCHDOG=trigger)"
        if self._silent_at is not None and now >= self._silent_at:
            return f"gave no sign of life for {self._order.watchdog_seconds:g} s (watchdog)"
        if self._deadline is None or now < self._deadline:
            return None
        if self._is_extended:
            return f"timed out after {self._deadline - self._began:.3g} s, the time it had asked for included"
        return timed_out(self._order)

    def hear(self, now: float) -> None:
        """Take in what was said; more than a hundred messages a second make it deaf for the rest of it."""
        if self._ear is None:
            return
        if now - self._second >= 1.0:
            self._second, self._messages = now, 0
        for said in self._ear.heard():
            self._messages += 1
            self._take(said, now)
        if self._messages > _MOST_A_SECOND:
            self.deaf_until = self._second + 1.0

    def _take(self, said: Said, now: float) -> None:
        if said.is_alive and self._silent_at is not None:
            self._silent_at = now + self._order.watchdog_seconds
        self._has_given_up |= said.gives_up and self._silent_at is not None
        deadline = None if said.extend_seconds is None else self._extended(said.extend_seconds, now)
        if said.status is not None or said.progress is not None or deadline is not None:
            self._line.say(said.progress, said.status, deadline)

    def _extended(self, seconds: float, now: float) -> float | None:
        if self._deadline is None:
            return None
        order = self._order
        later = notify.extended(now, self._began, self._deadline, seconds, order.total_seconds)
        if later <= self._deadline:
            return None
        self._deadline, self._is_extended = later, True
        return later

"""The attempt's alarm clock: SIGALRM from a real interval timer, which only wakes the loop or breaks a call."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType


class Alarm:
    """Arms one instant of the monotonic clock at a time; `fd` becomes readable when a signal has arrived.

    While `interrupt` is set, the alarm and the nudge of the supervisor (SIGUSR1) call it from the signal handler, so
    that it can raise in the middle of a Python job.
    """

    def __init__(self) -> None:
        self.interrupt: Callable[[int], None] | None = None
        self._handler = self._on_signal
        self.fd, self._tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.listen()

    def listen(self) -> None:
        """Take the signals in hand; again before each attempt, for a Python job may have changed them."""
        for number in (signal.SIGALRM, signal.SIGUSR1):
            if signal.getsignal(number) is not self._handler:
                signal.signal(number, self._handler)
        # A child must not be reaped by a handler that some library left behind.
        if signal.getsignal(signal.SIGCHLD) is not signal.SIG_DFL:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)

    def arm(self, at: float | None) -> None:
        """Ring at this instant (`time.monotonic`), or never."""
        signal.setitimer(signal.ITIMER_REAL, 0.0 if at is None else max(at - time.monotonic(), 0.0001))

    def clear(self) -> None:
        """Forget what has rung so far."""
        try:
            while os.read(self.fd, 512):
                pass
        except BlockingIOError:
            return

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.interrupt is not None:
            self.interrupt(number)

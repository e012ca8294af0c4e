"""The host's clocks and its time zone: the one place where the daemon reads them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from jobd.core import zones
from jobd.core.sources import Reading

_TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_ABSTIME_CANCEL_ON_SET = 1 | 2
_DAY_SECONDS = 86400
_SAME_INSTANT_SECONDS = 0.01


class Clock:
    """The host's: its wall clock and the clocks that nobody sets (`core.sources.Clock`)."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that stand still while the host sleeps and never jump."""
        return time.monotonic()

    def boottime(self) -> float:
        """Seconds that pass also while the host sleeps and never jump."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def read(self) -> Reading:
        """Both clocks at the same instant: read again where something came between."""
        for _ in range(10):
            before, wall, after = self.boottime(), self.now(), self.boottime()
            if after - before < _SAME_INSTANT_SECONDS:
                break
        return Reading(wall, before)


@contextmanager
def telling_of_sets(loop: asyncio.AbstractEventLoop, on_set: Callable[[], None]) -> Iterator[None]:
    """Call `on_set` as soon as the wall clock was set or the host has woken from sleep (timerfd_create(2)).

    Where the kernel or the C library has no such thing nobody is told; who waits must not wait for long anyway.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_REALTIME, _TFD_FLAGS) if hasattr(libc, "timerfd_create") else -1

    def arm() -> bool:
        """Wait for the next set; the time at which it goes off by itself does not matter."""
        when = ctypes.create_string_buffer(struct.pack("4l", 0, 0, int(time.time()) + _DAY_SECONDS, 0))
        return bool(libc.timerfd_settime(timer, _TFD_ABSTIME_CANCEL_ON_SET, when, None) == 0)

    def was_set() -> None:
        with suppress(OSError):  # ECANCELED says that the clock was set
            os.read(timer, 8)
        arm()
        on_set()

    if timer >= 0 and arm():
        loop.add_reader(timer, was_set)
    try:
        yield
    finally:
        if timer >= 0:
            loop.remove_reader(timer)
            os.close(timer)


def host_zone() -> str:
    """The name of the host's time zone: TZ, the target of /etc/localtime, the text of /etc/timezone, else UTC."""
    return zones.host_name([os.environ.get("TZ", "").removeprefix(":"), _linked(), _written()])


def _linked() -> str | None:
    with suppress(OSError):
        return zones.name_in_link(os.readlink("/etc/localtime"))
    return None


def _written() -> str | None:
    with suppress(OSError), open("/etc/timezone", encoding="ascii", errors="replace") as file:
        return file.read(256)
    return None

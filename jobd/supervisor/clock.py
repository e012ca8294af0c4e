"""The host's clocks and its time zone: the one place where the daemon reads them."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime

from jobd.core import zones


class Clock:
    """Wall clock and monotonic clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that stand still while the host sleeps and never jump."""
        return time.monotonic()


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

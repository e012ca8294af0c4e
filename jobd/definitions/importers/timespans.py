"""systemd's spans of time and sizes (systemd.time(7)) as seconds, and seconds as jobd writes them."""

from __future__ import annotations

import math
import re

from jobd.core.spans import seconds, show_seconds

_UNITS = {
    **dict.fromkeys(("us", "usec", "µs"), 1e-6),
    **dict.fromkeys(("ms", "msec"), 1e-3),
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
    **dict.fromkeys(("M", "month", "months"), 2629800.0),
    **dict.fromkeys(("y", "year", "years"), 31557600.0),
}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-zA-Zµ]*)", re.ASCII)


def span(text: str) -> float:
    """The seconds of `1h 30min`, `90`, `infinity`. Raises ValueError for anything else."""
    if text.strip() == "infinity":
        return math.inf
    total, at = 0.0, 0
    while (match := _PART.match(text, at)) is not None and match[2] in _UNITS:
        total += float(match[1]) * _UNITS[match[2]]
        at = match.end()
    if at == 0 or text[at:].strip():
        raise ValueError(f'"{text[:40]}" is no span of time')
    return total


def shown(total: float) -> str | int:
    """Seconds as jobd writes them, exactly: `1h 30m` where that says all, else plain seconds."""
    text = show_seconds(total)
    if seconds(text) == total:
        return text
    return int(total) if total == int(total) else f"{total:.6f}".rstrip("0") + "s"


def is_true(text: str) -> bool:
    return text.lower() in ("1", "yes", "y", "true", "t", "on")

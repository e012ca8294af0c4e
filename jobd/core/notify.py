"""What a job says of itself while it runs, in the words of sd_notify(3), read with bounds: a job may say anything."""

from __future__ import annotations

from dataclasses import dataclass

MOST_BYTES = 4096
"""Of one message; longer ones are dropped."""
MOST_STATUS = 200
"""Characters of a status."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message; what it does not speak of is None."""

    status: str | None = None
    progress: float | None = None
    """0 to 1."""
    is_alive: bool = False
    """A sign of life for the watchdog."""
    gives_up: bool = False
    """It asks to be ended as the watchdog would."""
    extend_seconds: float | None = None
    """From now on it wants so much time at least."""


def read(data: bytes) -> Said:
    """What a datagram says. Words that are unknown or make no sense say nothing."""
    values: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        name, is_there, value = line.partition("=")
        if is_there:
            values[name] = value
    return Said(
        status=one_line(values["STATUS"]) if "STATUS" in values else None,
        progress=_fraction(values.get("PROGRESS", "")),
        is_alive=values.get("WATCHDOG") == "1",
        gives_up=values.get("WATCHDOG") == "trigger",
        extend_seconds=_span(values.get("EXTEND_TIMEOUT_USEC", "")),
    )


def one_line(text: str) -> str:
    """The text as one line that a terminal and the store can take, cut where it is long."""
    plain = "".join(character if character.isprintable() else " " for character in text[: 4 * MOST_STATUS])
    plain = " ".join(plain.encode(errors="replace").decode().split())
    return plain if len(plain) <= MOST_STATUS else plain[: MOST_STATUS - 1] + "…"


def extended(now: float, began: float, deadline: float, asked: float, total: float) -> float:
    """The deadline of an attempt that asks for more time: never sooner, and never past what is left of total_timeout.

    Without a total_timeout there is nothing to extend into: then `timeout` is the only bound there is, and it holds.
    """
    return max(deadline, min(now + asked, began + total)) if total else deadline


def _fraction(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value <= 1.0 else None


def _span(text: str) -> float | None:
    return int(text) / 1e6 if text.isascii() and text.isdecimal() and len(text) <= 16 else None

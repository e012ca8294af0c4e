"""The Python callable that does nothing."""

from __future__ import annotations


def nothing(_payload: object) -> None:
    """Return at once."""

"""The work of RQ's runs, which a worker imports by name."""

from __future__ import annotations

from harness import count_one, note_late


def nothing(_payload: str) -> None:
    count_one()


def stamped(at: float) -> None:
    note_late(at)

"""Schedules that were looked at once stay as they were, whatever is upgraded (C12)."""

from __future__ import annotations

from tests.core import golden


def test_no_upgrade_moves_a_schedule() -> None:
    stored = golden.stored()
    moved = [(was, now) for was, now in zip(stored, golden.lines(stored), strict=True) if was != now]
    assert len(stored) == 2000
    assert not moved, "croniter, tzdata or the parser moved schedules; if that is meant: make golden"

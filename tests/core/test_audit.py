"""The chain of the audit trail, and ids as people list them."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobd.core.audit import Entry, Kept, first_broken, in_ranges, link

ENTRY = Entry(
    datetime(2026, 1, 2, tzinfo=UTC), 1000, "ann", 7, "/usr/bin/jobd-ctl", "cancel-run", "run 3", "done", "", 1
)
OTHER: dict[str, Any] = {
    "at": ENTRY.at + timedelta(microseconds=1),
    "uid": 0,
    "pid": 8,
    "times": 2,
    "result": "denied",
}


def trail(count: int) -> list[Kept]:
    made: list[Kept] = []
    for number in range(1, count + 1):
        entry = replace(ENTRY, on=f"run {number}")
        made.append(Kept(number, entry, link(made[-1].digest if made else b"", entry)))
    return made


def test_a_trail_as_it_was_written_is_whole() -> None:
    assert first_broken(b"", trail(5)) is None
    assert first_broken(trail(2)[-1].digest, trail(5)[2:]) is None
    assert first_broken(b"", []) is None


@pytest.mark.parametrize("name", [field.name for field in fields(Entry)])
def test_an_entry_that_was_changed_in_any_field_shows(name: str) -> None:
    kept = trail(5)
    kept[2] = replace(kept[2], entry=replace(kept[2].entry, **{name: OTHER.get(name, "other")}))
    assert first_broken(b"", kept) == 3


def test_an_entry_that_is_missing_or_was_put_in_shows() -> None:
    kept = trail(5)
    assert first_broken(b"", kept[:2] + kept[3:]) == 4
    assert first_broken(b"", kept[1:]) == 2
    assert first_broken(b"", [*kept[:2], replace(kept[1], id=3), *kept[2:]]) == 3


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [([], ""), ([3], "3"), ([3, 4, 5, 9], "3-5, 9"), (range(1, 100, 2), ", ".join(map(str, range(1, 41, 2))) + ", …")],
)
def test_ids_are_listed_in_ranges(numbers: list[int], shown: str) -> None:
    assert in_ranges(numbers) == shown

"""Pages of what became of due slots, whatever else the history holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from jobd.core.records import SlotRecord
from jobd.core.spans import from_micros, micros
from jobd.core.states import Disposition, Outcome, RunState

Ask = Callable[[str, Any], list[tuple[Any, ...]]]
"""The rows of a named statement with its bindings."""

_NO_CURSOR = 2**62
_PAGE, _MOST_PAGES = 1000, 20
"""Slots that are looked at to find those of one disposition: so many at a time, and so often before answering."""


def page(
    ask: Ask,
    job: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    cursor: str | None,
    disposition: Disposition | None,
) -> tuple[list[SlotRecord], str | None]:
    """The slots of a page, newest first, and the cursor of the next. Raises ValueError for a bad cursor."""
    if disposition is None:
        rows = _rows(ask, job, start, end, limit + 1, cursor)
        return [record(row) for row in rows[:limit]], _cursor(rows[limit - 1]) if len(rows) > limit else None
    found: list[tuple[Any, ...]] = []
    for _ in range(_MOST_PAGES):
        rows = _rows(ask, job, start, end, _PAGE, cursor)
        found += [row for row in rows if row[2] == disposition]
        if len(found) >= limit:
            return [record(row) for row in found[:limit]], _cursor(found[limit - 1])
        if len(rows) < _PAGE:
            return [record(row) for row in found], None
        cursor = _cursor(rows[-1])
    return [record(row) for row in found], cursor


def _rows(
    ask: Ask, job: str | None, start: datetime | None, end: datetime | None, limit: int, cursor: str | None
) -> list[tuple[Any, ...]]:
    at, job_id = (int(part) for part in cursor.split("-")) if cursor else (_NO_CURSOR, _NO_CURSOR)
    bindings = {
        "start": 0 if start is None else micros(start),
        "end": _NO_CURSOR if end is None else micros(end),
        "at": at,
        "limit": limit,
    }
    if job is None:
        return ask("list_slots", bindings | {"job_id": job_id})
    return ask("list_slots_of_job", bindings | {"job": job})


def _cursor(row: tuple[Any, ...]) -> str:
    return f"{row[1]}-{row[5]}"


def record(row: tuple[Any, ...]) -> SlotRecord:
    name, at, disposition, run, reason, _, state, outcome, exit_code = row
    return SlotRecord(
        job=name,
        slot=from_micros(at),
        disposition=Disposition(disposition),
        run=run,
        reason=reason,
        run_state=None if state is None else RunState(state),
        run_outcome=None if outcome is None else Outcome(outcome),
        run_exit_code=exit_code,
    )

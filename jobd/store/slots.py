"""Pages of what became of due slots, whatever else the history holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from jobd.core.records import SlotRecord
from jobd.core.spans import from_micros, micros
from jobd.core.states import Disposition, Outcome, RunState

Ask = Callable[[str, Any], list[tuple[Any, ...]]]
"""The rows of a named statement with its bindings."""

_NO_CURSOR = 2**62
_STEP = 6 * 3600 * 1_000_000
"""Microseconds of history that are read first for slots of one disposition; each step back is twice as long."""
_PATIENCE_SECONDS = 0.1


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
    at, job_id = (int(part) for part in cursor.split("-")) if cursor else (_NO_CURSOR, _NO_CURSOR)
    first, last = 0 if start is None else micros(start), _NO_CURSOR if end is None else micros(end)
    span = _Span(first, last, at, job_id)
    if disposition is not None:
        return _of_disposition(ask, job, span, limit, disposition)
    bindings = span._asdict() | {"limit": limit + 1}
    if job is None:
        rows = ask("list_slots", bindings)
    else:
        del bindings["job_id"]
        rows = ask("list_slots_of_job", bindings | {"job": job})
    return _page(rows, limit)


class _Span(NamedTuple):
    """Slots from `start` up to before `end`, and before the slot at `at` of `job_id` in the order of the list."""

    start: int
    end: int
    at: int
    job_id: int


def _of_disposition(
    ask: Ask, job: str | None, span: _Span, limit: int, disposition: Disposition
) -> tuple[list[SlotRecord], str | None]:
    """A page of those slots that one thing became of: time is read backwards, in steps, for no longer than others can
    wait. Such a page may be short, and yet have a next one."""
    ((oldest, newest),) = ask("extent_of_slots", {"job": job})
    if oldest is None:
        return [], None
    found: list[tuple[Any, ...]] = []
    lowest, end, step = max(span.start, oldest), min(span.end, span.at + 1, newest + 1), _STEP
    gives_up_at = time.perf_counter() + _PATIENCE_SECONDS
    while lowest < end:
        start = max(lowest, end - step)
        bindings = span._replace(start=start, end=end)._asdict() | {"limit": limit + 1 - len(found), "job": job}
        found += ask("list_slots_of_disposition", bindings | {"disposition": disposition})
        if len(found) > limit:
            return _page(found, limit)
        end, step = start, step * 2
        if time.perf_counter() > gives_up_at and lowest < end:
            return _page(found, limit)[0], f"{end}-0"
    return _page(found, limit)


def _page(rows: list[tuple[Any, ...]], limit: int) -> tuple[list[SlotRecord], str | None]:
    return [record(row) for row in rows[:limit]], _cursor(rows[limit - 1]) if len(rows) > limit else None


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

"""How runs hang together by edges, for whoever looks at them: rows made records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jobd.core.records import Relative, Wait
from jobd.core.spans import from_micros, from_micros_if
from jobd.core.states import Condition, Outcome, RunState

Link = tuple[int, int, Condition, str | None]
"""(parent, child, condition, decision)."""


def waits(rows: Iterable[tuple[Any, ...]]) -> tuple[Wait, ...]:
    return tuple(
        Wait(parent, job.strip(), RunState(state), Condition(condition), decision)
        for parent, condition, decision, job, state in rows
    )


def relatives(rows: Iterable[tuple[Any, ...]]) -> tuple[Relative, ...]:
    return tuple(_relative(*row) for row in rows)


def links(rows: Iterable[tuple[Any, ...]]) -> tuple[Link, ...]:
    return tuple((parent, child, Condition(condition), decision) for parent, child, condition, decision in rows)


def _relative(
    run: int,
    job: str,
    state: str,
    outcome: str | None,
    exit_code: int | None,
    error: str | None,
    owner: str | None,
    attempts: int,
    run_at: int,
    started_at: int | None,
    finished_at: int | None,
) -> Relative:
    return Relative(
        id=run,
        job=job.strip(),
        state=RunState(state),
        outcome=None if outcome is None else Outcome(outcome),
        exit_code=exit_code,
        error=error,
        owner=owner,
        attempts=attempts,
        run_at=from_micros(run_at),
        started_at=from_micros_if(started_at),
        finished_at=from_micros_if(finished_at),
    )

"""`runs` and `attempts`: what ran, what waits, and how each try went."""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import Any

import click

from jobd.cli import accounts, completing
from jobd.cli.exits import Exit
from jobd.cli.render import ending, progress, snapshot_lines, span, when, word
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell
from jobd.cli.terminal import safe_line
from jobd.cli.times import lasted, since
from jobd.core.spans import rfc3339
from jobd.core.states import RunState

PAGE = 500
_BAR = 10
"""Characters of a bar in a table."""


@verb(example="jobd-ctl runs --state failed --since 1d\njobd-ctl --json runs --job backup -n 5")
@click.option("--job", metavar="JOB", help="Only runs of this job.", shell_complete=completing.jobs)
@click.option("--state", "states", metavar="STATE", multiple=True, help="Only runs in this state; may be repeated.")
@click.option("--queue", metavar="QUEUE", help="Only runs in this queue.", shell_complete=completing.queues)
@click.option("--since", "back_to", metavar="D|T", help="Only runs made since then (2h, 2026-11-01).")
@click.option("-n", "count", type=click.IntRange(1, 100_000), default=20, help="At most so many (20).")
def runs(
    session: Session, job: str | None, states: tuple[str, ...], queue: str | None, back_to: str | None, count: int
) -> Exit:
    """List runs, newest first."""
    query = {"job": job, "state": _states(states), "queue": queue, "since": _since(back_to, session)}
    found = session.listed("/v1/runs", count, PAGE, **query)
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    rows: list[list[Cell | str]] = [
        [
            str(run["id"]),
            run["job"],
            ending(run),
            f"{run['attempts']}/{run['max_attempts']}",
            run["queue"],
            run["trigger"],
            when(run.get("started_at") or run["run_at"], session.now),
            span(run, session.now),
            Cell(progress(run, _BAR) or run.get("error") or shlex.join(run.get("command") or ())),
        ]
        for run in found
    ]
    titles = "RUN JOB STATE TRIES QUEUE TRIGGER STARTED TOOK DETAIL"
    session.table(columns(titles, right=("RUN",), elastic=("DETAIL",)), rows)
    return Exit.OK


def _states(states: tuple[str, ...]) -> str | None:
    words = [part for text in states for part in text.split(",")]
    unknown = [text for text in words if text not in set(RunState)]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is no state (one of: {' '.join(RunState)})", param_hint="--state")
    return ",".join(words) or None


def _since(text: str | None, session: Session) -> str | None:
    try:
        return rfc3339(since(text, session.now)) if text else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None


@verb(example="jobd-ctl attempts 42")
@click.argument("run", type=click.IntRange(1), shell_complete=completing.runs)
def attempts(session: Session, run: int) -> Exit:
    """The attempts of a run: how each one ended and what it used."""
    found = session.get(f"/v1/runs/{run}/attempts")["items"]
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    titles = "TRY OUTCOME CODE STARTED TOOK CPU MEMORY READ WRITTEN SWITCHES WORKER"
    numbers = ("TRY", "CODE", "CPU", "MEMORY", "READ", "WRITTEN", "SWITCHES", "WORKER")
    session.table(columns(titles, right=numbers), [_attempt(attempt, session.now) for attempt in found])
    for attempt in found:
        if attempt.get("error"):
            session.say(f"attempt {attempt['attempt']}: {safe_line(attempt['error'])}")
        for line in (*accounts.leftovers(attempt), *snapshot_lines(attempt)):
            session.say(line)
    return Exit.OK


def _attempt(attempt: dict[str, Any], now: datetime) -> list[Cell | str]:
    return [
        str(attempt["attempt"]),
        word(attempt.get("outcome") or "running"),
        _code(attempt.get("exit_code"), attempt.get("signal")),
        when(attempt.get("started_at") or attempt.get("reserved_at"), now),
        lasted(attempt["duration"]),
        *accounts.columns(attempt.get("usage")),
        str(attempt.get("worker_pid") or "-"),
    ]


def _code(code: int | None, signal: int | None) -> str:
    if code is None:
        return "-"
    return f"{code} (signal {signal})" if signal else str(code)

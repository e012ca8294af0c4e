"""`dead`: runs that failed for good, until somebody retries or drops them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.render import compact, ending, fields, when
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell
from jobd.cli.verbs.runs import PAGE

Function = TypeVar("Function", bound=Callable[..., Any])


@click.group(epilog="\b\nExamples:\n  jobd-ctl dead list --queue email\n  jobd-ctl dead retry --queue email --dry-run")
def dead() -> None:
    """Dead letters: runs that failed for good, until somebody retries or drops them."""


def _narrowing(function: Function) -> Function:
    """The options by which every verb of the family is narrowed."""
    for option in (
        click.option("--queue", metavar="QUEUE", help="Only those that failed in this queue."),
        click.option("--job", metavar="JOB", help="Only those of this job."),
    ):
        function = option(function)
    return function


@verb(example="jobd-ctl dead list --queue email", name="list")
@_narrowing
@click.option("-n", "count", type=click.IntRange(1, 100_000), default=20, help="At most so many (20).")
def list_(session: Session, job: str | None, queue: str | None, count: int) -> Exit:
    """List dead letters, the latest run first."""
    found = session.listed("/v1/dead-letters", count, PAGE, job=job, queue=queue)
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    rows: list[list[Cell | str]] = [
        [
            str(one["run"]),
            one["job"],
            one["original_queue"],
            ending({**one, "state": "failed"}),
            str(one["dlq_attempts"]),
            when(one["dlq_timestamp"], session.now),
            one["dlq_reason"] or "",
        ]
        for one in found
    ]
    session.table(columns("RUN JOB QUEUE STATE TRIES DIED REASON", right=("RUN", "TRIES"), elastic=("REASON",)), rows)
    return Exit.OK


@verb(example="jobd-ctl dead show 42")
@click.argument("run", type=click.IntRange(1), shell_complete=completing.runs)
def show(session: Session, run: int) -> Exit:
    """What one dead letter carried, why it died, each time it did, and what was done about it."""
    found = session.get(f"/v1/runs/{run}")
    if session.wants_json:
        session.emit({"run": found, "dead_letters": found["dead_letters"]})
        return Exit.OK
    if not found["dead_letters"]:
        session.remark(f"run {run} never was a dead letter: it is {found['state']}")
    for line in fields([("run", run), ("job", found["job"]), ("state", found["state"])]):
        session.say(line)
    for line in fields([("payload", compact(found["payload"])), ("owner", found["owner"])]):
        session.say(line)
    for death in found["dead_letters"]:
        session.say()
        told = death["action"] and f"{death['action']} {when(death['acted_at'], session.now)} by {death['acted_by']}"
        for line in fields(
            [
                ("died", when(death["dlq_timestamp"], session.now)),
                ("reason", death["dlq_reason"]),
                ("attempts", death["dlq_attempts"]),
                ("queue", death["original_queue"]),
                ("then", told or "waits for somebody"),
            ]
        ):
            session.say(line)
    return Exit.OK


@verb(example="jobd-ctl dead retry 42 43\njobd-ctl dead retry --queue email --dry-run")
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=click.IntRange(1), shell_complete=completing.runs)
@_narrowing
@click.option("--all", "is_all", is_flag=True, help="Every dead letter there is.")
@click.option("--payload", metavar="JSON", help="Run them with this payload instead of their own.")
@click.option("--dry-run", is_flag=True, help="Only say which runs these are.")
def retry(
    session: Session,
    runs: tuple[int, ...],
    job: str | None,
    queue: str | None,
    is_all: bool,
    payload: str | None,
    dry_run: bool,
) -> Exit:
    """Queue the runs of dead letters again; their attempts are counted on."""
    body: dict[str, Any] = _which(runs, job, queue, is_all)
    if payload is not None:
        body["payload"] = _parsed(payload)
    if dry_run:
        answer = session.post("/v1/dead-letters/retry", body | {"dry_run": True})
        return _told(session, answer["runs"], "would be queued again", is_partial=answer["is_partial"])
    held: list[int] = []

    def ask() -> dict[str, Any]:
        answer: dict[str, Any] = session.post("/v1/dead-letters/retry", body)
        held[:] = answer.get("held", [])
        return answer

    done = _repeated(ask)
    for run in held:
        session.remark(f"run {run} stays: another run holds its unique key (retry it once that has ended, or drop it)")
    return _told(session, done, "queued again", held=held)


@verb(example="jobd-ctl dead drop 42\njobd-ctl dead drop --job import-feed")
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=click.IntRange(1), shell_complete=completing.runs)
@_narrowing
@click.option("--all", "is_all", is_flag=True, help="Every dead letter there is.")
def drop(session: Session, runs: tuple[int, ...], job: str | None, queue: str | None, is_all: bool) -> Exit:
    """Put dead letters away; their runs stay in the history as failed."""
    _which(runs, job, queue, is_all)
    query = {"runs": ",".join(map(str, runs)) or None, "job": job, "queue": queue, "all": "1" if is_all else None}
    return _told(session, _repeated(lambda: session.delete("/v1/dead-letters", **query)), "dropped")


@verb(example="jobd-ctl dead stats")
def stats(session: Session) -> Exit:
    """How many dead letters wait, by queue and job."""
    found = session.get("/v1/dead-letters/stats")["items"]
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    rows: list[list[Cell | str]] = [
        [
            one["queue"],
            one["job"],
            str(one["count"]),
            when(one["oldest"], session.now),
            when(one["newest"], session.now),
        ]
        for one in found
    ]
    session.table(columns("QUEUE JOB DEAD OLDEST NEWEST", right=("DEAD",)), rows)
    return Exit.OK


def _which(runs: tuple[int, ...], job: str | None, queue: str | None, is_all: bool) -> dict[str, Any]:
    """The dead letters meant: named, or by a filter that was asked for on purpose."""
    narrowed = {key: value for key, value in (("job", job), ("queue", queue)) if value is not None}
    if bool(runs) + bool(narrowed) + is_all != 1:
        raise click.UsageError("name RUNs, or give --job and --queue, or --all: one of these")
    return {"runs": list(runs)} if runs else {"filter": narrowed}


def _parsed(payload: str) -> Any:
    try:
        return json.loads(payload)
    except ValueError as error:
        raise click.BadParameter(f"is no JSON: {error}", param_hint="--payload") from None


def _repeated(ask: Callable[[], Any]) -> list[int]:
    """The runs acted on, asked for again while the daemon says that there are more: it bounds each transaction.

    The oldest letters come first: once a run comes again, it has died anew meanwhile, and all others had their turn.
    """
    done: dict[int, None] = {}
    while True:
        answer = ask()
        came_again = not done.keys().isdisjoint(answer["runs"])
        done |= dict.fromkeys(answer["runs"])
        if came_again or not (answer["is_partial"] and answer["runs"]):
            return [*done]


def _told(session: Session, runs: list[int], what: str, *, is_partial: bool = False, held: Sequence[int] = ()) -> Exit:
    if session.wants_json:
        session.emit({"runs": runs, "is_partial": is_partial} | ({"held": held} if held else {}))
        return Exit.OK
    for run in runs:
        session.say(f"run {run} {what}")
    if is_partial:
        session.remark("and more: these are the first")
    if not runs and not held:
        session.remark("there is no such dead letter")
    return Exit.OK


for made in (list_, show, retry, drop, stats):
    dead.add_command(made)

"""`stats`: how the runs of the last hours went, by job or by queue."""

from __future__ import annotations

from typing import Any

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell, filled
from jobd.cli.terminal import Tone
from jobd.cli.times import lasted, since
from jobd.core.spans import rfc3339

_TITLES = "RUNS FAILED RETRIED SUCCESS P50 P95 MAX WAIT50 WAIT95"


@verb(example="jobd-ctl stats\njobd-ctl stats --since 7d --by queue\njobd-ctl stats --job nightly-backup --since 30d")
@click.option("--job", metavar="J", help="Only runs of this job.", shell_complete=completing.jobs)
@click.option("--queue", metavar="Q", help="Only runs of this queue.", shell_complete=completing.queues)
@click.option("--since", "start", metavar="D|T", default="24h", help="Runs accepted since then (24h).")
@click.option("--by", type=click.Choice(["job", "queue"]), default="job", help="One line for each job, or each queue.")
@click.option("-n", "count", type=click.IntRange(1, 100_000), default=1000, help="So many lines, the busiest first.")
def stats(session: Session, job: str | None, queue: str | None, start: str, by: str, count: int) -> Exit:
    """How the runs of the last hours went: how many, how many failed, how long they took and waited.

    P50 and P95: so many of a hundred runs took no longer. SUCCESS is of those that succeeded or failed; RETRIED had
    more than one attempt. At most the newest 100,000 runs are looked at.
    """
    found = session.get("/v1/stats", job=job, queue=queue, since=_since(start, session), by=by, limit=str(count))
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    if not found["total"]["runs"]:
        session.remark(f"no run was accepted since {found['since']}")
        return Exit.OK
    rows = [_row(line["name"], line) for line in found["items"]]
    if len(rows) > 1:
        rows.append(_row("total", found["total"]))
    session.table(*filled(columns(f"{by.upper()} {_TITLES}", right=_TITLES.split()), rows))
    if found["truncated"]:
        session.remark("there are more runs than were looked at: ask for a shorter span")
    return Exit.OK


def _since(text: str, session: Session) -> str:
    try:
        return rfc3339(since(text, session.now))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None


def _row(name: str, line: dict[str, Any]) -> list[Cell | str]:
    failed, rate = line["states"].get("failed", 0), line["success_rate"]
    took, waited = line["duration"] or {}, line["wait"] or {}
    return [
        name,
        str(line["runs"]),
        Cell(str(failed), Tone.BAD if failed else Tone.PLAIN),
        str(line["retried"] or ""),
        "-" if rate is None else f"{rate:.1%}",
        *(_short(took.get(part)) for part in ("p50", "p95", "max")),
        *(_short(waited.get(part)) for part in ("p50", "p95")),
    ]


def _short(seconds: float | None) -> str:
    """To the millisecond: what is finer says nothing of a run."""
    return lasted(None if seconds is None else round(seconds, 3))

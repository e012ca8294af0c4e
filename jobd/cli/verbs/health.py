"""`health`: the report by which a watcher judges the daemon and its queues."""

from __future__ import annotations

from typing import Any

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.render import compact
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell
from jobd.cli.terminal import Tone
from jobd.cli.times import lasted
from jobd.cli.verbs.queues import used


@verb(example="jobd-ctl health\njobd-ctl health --queue email --json")
@click.option("--queue", metavar="QUEUE", help="Only this queue.", shell_complete=completing.queues)
def health(session: Session, queue: str | None) -> Exit:
    """Settings, queues and their last 24 hours; exits with 1 when jobd is degraded."""
    report = session.get("/v1/health", queue=queue)
    if session.wants_json:
        session.emit(report)
    else:
        _show(session, report)
    return Exit.OK if report["healthy"] else Exit.FAILED


def _show(session: Session, report: dict[str, Any]) -> None:
    if report["healthy"]:
        session.paint("well", Tone.GOOD)
    for entry in report["degraded"]:
        session.paint(f"degraded: {entry['reason']}: {entry['detail']}", Tone.BAD)
    for key, value in report["configuration"].items():
        session.say(f"{key}: {value if isinstance(value, str) else compact(value)}")
    session.say()
    rows = [_row(name, queue) for name, queue in report["queues"].items()]
    titles = "QUEUE PENDING PROCESSING COMPLETED FAILED RATE 24H SUCCESS FAILURE AVERAGE"
    session.table(columns(titles, right=titles.split()[1:]), rows)


def _row(name: str, queue: dict[str, Any]) -> list[Cell | str]:
    state, day = queue["status"], queue["last_24h"]
    failed = state["failed"]
    return [
        name,
        str(state["pending"]),
        str(state["processing"]),
        str(state["completed"]),
        Cell(str(failed), Tone.BAD if failed else Tone.PLAIN),
        used(queue["rate_limit"]),
        str(day["executions"]),
        _part(day["success_rate"]),
        _part(day["failure_rate"]),
        lasted(day["avg_duration_seconds"]),
    ]


def _part(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"

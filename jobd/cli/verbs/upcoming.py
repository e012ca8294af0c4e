"""`next`: the coming slots of jobs, or of an expression without a daemon."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell, filled
from jobd.cli.terminal import Tone
from jobd.cli.times import instant, moment, near
from jobd.core.spans import rfc3339

_MOST = 1000


@verb(
    example='jobd-ctl next nightly-backup -n 10\njobd-ctl next --expr "30 2 * * *" --tz Europe/Oslo --from 2027-03-27',
    name="next",
)
@click.argument("job", required=False, shell_complete=completing.jobs)
@click.option("-n", "count", type=click.IntRange(1, _MOST), default=10, help="So many slots (10).")
@click.option("--from", "start", metavar="T", help="After this instant instead of now.")
@click.option("--to", "end", metavar="T", help="Up to this instant.")
@click.option("--expr", metavar="SCHEDULE", help="Of this expression; needs no daemon.")
@click.option("--tz", metavar="ZONE", help="The time zone of --expr; without it the host's.")
@click.option("--name", metavar="JOB", default="", help="The job that H in --expr goes by.")
def upcoming(
    session: Session,
    job: str | None,
    count: int,
    start: str | None,
    end: str | None,
    expr: str | None,
    tz: str | None,
    name: str,
) -> Exit:
    """The coming slots of a job, of all jobs, or of a cron expression: local time, UTC, and what DST does to them."""
    first = _moment("--from", start, session.now)
    last = _moment("--to", end, session.now) if end else None
    if last is not None and last < first:
        raise click.UsageError("--to lies before --from" if start else "--to has passed already; give --from too")
    if expr is not None:
        if job is not None:
            raise click.UsageError("give a JOB or --expr, not both")
        items = _of_expression(expr, tz, name, count, first, last)
    elif tz is not None or name:
        raise click.UsageError("--tz and --name go with --expr; a job has its own")
    else:
        path = f"/v1/jobs/{session.path(job)}/next" if job else "/v1/next"
        query = {"from": rfc3339(first) if start else None, "to": rfc3339(last) if last else None}
        items = session.get(path, n=str(count), **query)["items"]
    if session.wants_json:
        session.emit(items)
    else:
        _show(session, items, with_job=expr is None)
    return Exit.OK


def _moment(option: str, text: str | None, now: datetime) -> datetime:
    try:
        return moment(text, now) if text else now
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _of_expression(
    expr: str, tz: str | None, name: str, count: int, start: datetime, end: datetime | None
) -> list[dict[str, Any]]:
    from jobd.core.model import Schedule
    from jobd.core.schedule import Timetable
    from jobd.supervisor.clock import host_zone

    try:
        timetable = Timetable(Schedule(expressions=(expr,), timezone=tz), host_zone(), name)
    except ValueError as error:
        raise click.UsageError(f"--expr: {error}") from None
    if timetable.has_boot or timetable.after is not None:
        raise click.UsageError(f"--expr: {expr} is due when something happens, not at a time that can be told")
    zone, at = timetable.zone, start
    items: list[dict[str, Any]] = []
    while len(items) < count:
        due = timetable.next_after(at, start)
        if due is None or (end is not None and due > end):
            break
        local = zone.local(int(due.timestamp()))
        items.append({"job": None, "at": rfc3339(due), "local": local.isoformat(), "remark": timetable.remark(due)})
        at = due
    return items


def _show(session: Session, items: list[dict[str, Any]], *, with_job: bool) -> None:
    if not items:
        session.remark("nothing is due")
        return
    rows = [_row(session, item, with_job=with_job) for item in items]
    session.table(*filled(columns("JOB LOCAL UTC DISTANCE REMARK", elastic=("REMARK",)), rows))


def _row(session: Session, item: dict[str, Any], *, with_job: bool) -> list[Cell | str]:
    local, at = datetime.fromisoformat(item["local"]), instant(item["at"])
    return [
        item["job"] if with_job else "",
        f"{local:%a %Y-%m-%d %H:%M:%S %z}",
        f"{at:%H:%M:%S}Z" if local.date() == at.date() else f"{at:%m-%d %H:%M:%S}Z",
        near(at, session.now),
        Cell(item["remark"], Tone.NOTE),
    ]

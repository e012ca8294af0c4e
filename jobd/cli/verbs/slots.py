"""`slots`: what became of every instant at which a job was due."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.render import ending, word
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell, filled
from jobd.cli.times import clock, instant, since
from jobd.core.reasons import in_words
from jobd.core.spans import rfc3339
from jobd.core.states import Disposition


@verb(
    example="jobd-ctl slots nightly-backup -n 30\n"
    "jobd-ctl slots --from 2026-11-01 --to 2026-11-02 --disposition missed\n"
    "jobd-ctl --json slots --from 1d | jq '.items[] | select(.state == \"failed\")'"
)
@click.argument("job", required=False, shell_complete=completing.jobs)
@click.option("--from", "start", metavar="D|T", help="Back to then (2h, 2026-11-01), that instant included.")
@click.option("--to", "end", metavar="D|T", help="Only slots before then.")
@click.option("-n", "count", type=click.IntRange(1, 100_000), default=20, help="At most so many (20).")
@click.option(
    "--disposition",
    "wanted",
    type=click.Choice([one.value for one in Disposition]),
    help="Only slots that this became of.",
)
def slots(
    session: Session, job: str | None, start: str | None, end: str | None, count: int, wanted: str | None
) -> Exit:
    """What became of every due slot, of one job or of all, newest first.

    Each slot was started, skipped, missed, coalesced (a newer slot stands for it) or expired; where it started, how its
    run stands is beside it.
    """
    query = {"job": job, "from": _since("--from", start, session), "to": _since("--to", end, session)}
    found = session.listed("/v1/slots", count, 500, disposition=wanted, **query)
    if job is not None and not found:
        session.get(f"/v1/jobs/{session.path(job)}")  # a job that was removed has slots all the same
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    if not found:
        session.remark("no such slots")
        return Exit.OK
    rows = [_row(slot, session.now, with_job=job is None) for slot in found]
    session.table(*filled(columns("JOB SLOT BECAME RUN ENDED REASON", right=("RUN",), elastic=("REASON",)), rows))
    return Exit.OK


def _since(option: str, text: str | None, session: Session) -> str | None:
    try:
        return rfc3339(since(text, session.now)) if text else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _row(slot: dict[str, Any], now: datetime, *, with_job: bool) -> list[Cell | str]:
    return [
        slot["job"] if with_job else "",
        clock(instant(slot["slot"]), now),
        word(slot["disposition"]),
        "-" if slot["run"] is None else str(slot["run"]),
        ending(slot) if slot.get("state") else word(None),
        Cell(in_words(slot["reason"])),
    ]

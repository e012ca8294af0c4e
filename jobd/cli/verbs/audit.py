"""`audit`: who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from jobd.cli.exits import Exit
from jobd.cli.render import word
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell, filled
from jobd.cli.times import clock, instant


@verb(example="jobd-ctl audit -n 50\njobd-ctl audit --user deploy --since 1d\njobd-ctl audit --verify")
@click.option("-n", "count", type=click.IntRange(1, 100_000), default=20, help="At most so many (20).")
@click.option("--user", metavar="NAME", help="Only what this user asked for.")
@click.option("--since", metavar="D|T", help="Back to then (2h, 2026-11-01T08:00:00Z).")
@click.option("--verify", is_flag=True, help="Follow the chain of digests; exits 1 where it is broken.")
def audit(session: Session, count: int, user: str | None, since: str | None, verify: bool) -> Exit:
    """Who changed what, newest first; for administrators.

    What was asked for and refused, or denied, is there too. Every entry is linked to the one before it: an entry that
    was changed or taken out of the middle shows. Note the last digest elsewhere to see also that the end is whole.
    """
    if verify:
        return _verified(session)
    found = session.listed("/v1/audit", count, 500, user=user, since=since)
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    if not found:
        session.remark("no such entries")
        return Exit.OK
    rows = [_row(entry, session.now) for entry in found]
    session.table(*filled(columns("WHEN USER DID ON RESULT DETAIL", elastic=("DETAIL",)), rows))
    return Exit.OK


def _row(entry: dict[str, Any], now: datetime) -> list[Cell | str]:
    times = f" ({entry['times']} requests)" if entry["times"] > 1 else ""
    return [
        clock(instant(entry["at"]), now),
        Cell(entry["user"]),
        Cell(entry["did"]),
        Cell(entry["on"]),
        word(entry["result"]),
        Cell(entry["detail"] + times),
    ]


def _verified(session: Session) -> Exit:
    seen = session.get("/v1/audit/verify")
    if session.wants_json:
        session.emit(seen)
    elif seen["whole"]:
        session.say(f"the trail is whole: {seen['entries']} entries, the last digest is {seen['digest'] or '-'}")
    else:
        session.say(f"the trail was altered at entry {seen['broken_at']}, after {seen['entries']} sound ones")
    return Exit.OK if seen["whole"] else Exit.FAILED

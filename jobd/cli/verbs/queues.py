"""`queues`: the lanes and how full they are."""

from __future__ import annotations

from jobd.cli.exits import Exit
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell
from jobd.cli.times import lasted


@verb(example="jobd-ctl queues")
def queues(session: Session) -> Exit:
    """The queues: their limits, what waits and runs in them, and the last 24 hours."""
    found = session.listed("/v1/queues")
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    rows: list[list[Cell | str]] = []
    for queue in found:
        day, oldest = queue["last_24h"], queue["oldest_waiting_seconds"]
        limit = queue["max_running"]
        rows.append(
            [
                Cell(f"{queue['name']} (paused)" if queue["paused"] else queue["name"]),
                f"{queue['processing']}/{limit}" if limit else str(queue["processing"]),
                str(queue["pending"]),
                lasted(oldest),
                queue["rate_limit"] or "-",
                str(day["executions"]),
                str(day["failed"]),
                lasted(day["average_seconds"]),
            ]
        )
    titles = "QUEUE RUNNING WAITING OLDEST RATE 24H FAILED AVERAGE"
    session.table(columns(titles, right=("RUNNING", "WAITING", "OLDEST", "24H", "FAILED", "AVERAGE")), rows)
    return Exit.OK

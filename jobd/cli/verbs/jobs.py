"""`jobs`: the list of what is defined."""

from __future__ import annotations

from jobd.cli.exits import Exit
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell
from jobd.cli.times import told


@verb(example="jobd-ctl jobs\njobd-ctl --json jobs | jq -r '.items[].name'")
def jobs(session: Session) -> Exit:
    """List the defined jobs: when they are due, in which queue, and where they are defined."""
    found = session.listed("/v1/jobs")
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    rows: list[list[Cell | str]] = [
        [
            job["name"],
            "disabled" if not job["enabled"] else Cell("; ".join(job["schedule"]) or "on request"),
            told(job["next_at"] if job["enabled"] else None, session.now),
            job["queue"],
            f"{job['file']}:{job['line']}",
            Cell(job["description"]),
        ]
        for job in found
    ]
    session.table(columns("JOB SCHEDULE NEXT QUEUE FILE DESCRIPTION", elastic=("SCHEDULE", "DESCRIPTION")), rows)
    return Exit.OK

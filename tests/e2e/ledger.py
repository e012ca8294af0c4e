"""What the store says of slots and runs, read beside a living daemon or after its end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import apsw

from tests.e2e.daemon import Host


def rows(host: Host, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    base = apsw.Connection(str(host.database), flags=apsw.SQLITE_OPEN_READONLY)
    base.setbusytimeout(5000)
    try:
        return base.execute(sql, values).fetchall()
    finally:
        base.close()


def first_seen(host: Host, job: str) -> datetime:
    """Since when jobd knows a job; before that it owes no slot."""
    ((at,),) = rows(host, "SELECT first_seen_at FROM job WHERE name = ?", job)
    return datetime.fromtimestamp(at / 1e6, UTC)


def slots_of(host: Host, job: str) -> dict[datetime, str]:
    """What became of every slot of a job, and why."""
    found = rows(
        host, "SELECT at, disposition || ' ' || reason FROM slot JOIN job ON job.id = slot.job WHERE name = ?", job
    )
    return {datetime.fromtimestamp(at / 1e6, UTC): disposition for at, disposition in found}


def started_runs(host: Host, job: str) -> int:
    ((count,),) = rows(
        host, "SELECT count(*) FROM run JOIN job ON job.id = run.job WHERE name = ? AND attempt > 0", job
    )
    return int(count)


def nothing_fired_twice(host: Host) -> None:
    assert rows(host, "SELECT slot FROM run WHERE slot IS NOT NULL GROUP BY job, slot HAVING count(*) > 1") == []
    made = rows(host, "SELECT job, slot, id FROM run WHERE slot IS NOT NULL ORDER BY job, slot")
    named = rows(host, "SELECT job, at, run FROM slot WHERE disposition = 'started' ORDER BY job, at")
    assert made == named

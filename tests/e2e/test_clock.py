"""The wall clock moved under a live daemon: nothing fires twice or is lost, and what is counted in real time goes on.

JOBD_CLOCK_SEED replays a walk of steps; timing is the machine's.
"""

from __future__ import annotations

import re
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SETTINGS = "workers: {max: 4}\nqueues: {default: {max_running: 4}}\ndrain_timeout: 5s\n"


def rows(host: Host, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    base = apsw.Connection(str(host.database), flags=apsw.SQLITE_OPEN_READONLY)
    base.setbusytimeout(5000)
    try:
        return base.execute(sql, values).fetchall()
    finally:
        base.close()


def slots_of(host: Host, job: str) -> dict[datetime, str]:
    """What became of every slot of a job."""
    found = rows(host, "SELECT at, disposition FROM slot JOIN job ON job.id = slot.job WHERE name = ?", job)
    return {datetime.fromtimestamp(at / 1e6, UTC): disposition for at, disposition in found}


def started_runs(host: Host, job: str) -> int:
    ((count,),) = rows(
        host, "SELECT count(*) FROM run JOIN job ON job.id = run.job WHERE name = ? AND attempt > 0", job
    )
    return int(count)


def metric(host: Host, name: str) -> float:
    with urllib.request.urlopen(f"http://{host.status()['metrics_address']}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


def nothing_fired_twice(host: Host) -> None:
    assert rows(host, "SELECT slot FROM run WHERE slot IS NOT NULL GROUP BY job, slot HAVING count(*) > 1") == []
    made = rows(host, "SELECT job, slot, id FROM run WHERE slot IS NOT NULL ORDER BY job, slot")
    named = rows(host, "SELECT job, at, run FROM slot WHERE disposition = 'started' ORDER BY job, at")
    assert made == named


def test_a_job_that_runs_every_second_goes_on_while_the_clock_is_set_by_hours(make_host: MakeHost) -> None:
    host = make_host(SETTINGS)
    clock = host.with_own_clock()
    host.define("fast", "jobs:\n  fast: {command: [/bin/true], schedule: every 1s}\n")
    host.start()
    until(lambda: started_runs(host, "fast") >= 1)
    for count, step in enumerate((-HOUR, 2 * HOUR), 1):
        before = started_runs(host, "fast")
        clock.step(step)
        until(lambda: metric(host, "jobd_clock_steps_total") == count, what="the step is noticed")  # noqa: B023
        until(lambda: started_runs(host, "fast") >= before + 2, 5)  # noqa: B023
    nothing_fired_twice(host)
    assert host.log().count("The wall clock was set") == 2

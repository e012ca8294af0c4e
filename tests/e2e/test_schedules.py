"""What brings slots about beside the clock, and what keeps them from starting, with a daemon as installed."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until


def slots(host: Host, job: str) -> list[dict[str, Any]]:
    """What became of the slots of a job, oldest first."""
    with host.client() as client:
        found: list[dict[str, Any]] = client.request("GET", f"/v1/slots?job={job}")["items"]
    return found[::-1]


def next_at(host: Host, job: str) -> str | None:
    with host.client() as client:
        at: str | None = client.request("GET", f"/v1/jobs/{job}")["next_at"]
    return at


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.slow
def test_a_job_at_boot_runs_once_after_the_host_was_started_and_not_after_the_daemon_was(make_host: MakeHost) -> None:
    host = make_host()
    host.define("hello", "jobs: {hello: {command: [echo, up], schedule: '@boot'}}\n")
    host.start()
    assert slots(host, "hello") == []
    host.end()
    with closing(sqlite3.connect(host.database)) as store, store:
        store.execute("UPDATE job SET boot_id = 'an earlier start of the host'")
    host.start()
    (slot,) = until(lambda: slots(host, "hello"), what="the slot of the start")
    assert slot["disposition"] == "started"
    found = host.ended(slot["run"])
    assert (found["state"], found["trigger"]) == ("succeeded", "schedule")
    host.kill()
    host.start()
    assert len(slots(host, "hello")) == 1


@pytest.mark.slow
def test_after_fires_again_and_again_each_time_after_the_end(daemon: Host) -> None:
    daemon.define("pause", "jobs: {pause: {command: [sleep, '0.4'], schedule: after 1s}}\n")
    found = until(lambda: runs if len(runs := slots(daemon, "pause")) > 2 else None, 15.0, "three runs")
    for earlier, later in itertools.pairwise(found[:3]):
        ended = daemon.ended(earlier["run"])["finished_at"]
        assert abs(instant(later["slot"]) - instant(ended) - timedelta(seconds=1)) < timedelta(milliseconds=1)


def test_a_run_that_cannot_start_in_time_expires_and_says_so(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 1}\n").start()
    host.define("long", "jobs: {long: {command: [sleep, '60']}, quick: {command: [echo, late], expires: 1s}}\n")
    until(lambda: is_defined(host, "quick"), what="the definitions are in force")
    with host.client() as client:
        busy = client.submit("long")
        until(lambda: host.run(busy)["state"] == "running")
        waiting, kept = client.submit("quick"), client.submit("quick", expires="1h")
        found = host.ended(waiting)
        assert (found["state"], found["attempts"], found["outcome"]) == ("expired", 0, None)
        assert found["error"] == f"not started by {found['expires_at'][:19]}Z"
        client.cancel(busy)
        assert host.ended(kept)["state"] == "succeeded"
    assert host.run(waiting)["state"] == "expired"


def is_defined(host: Host, job: str) -> bool:
    with host.client() as client:
        return any(one["name"] == job for one in client.request("GET", "/v1/jobs")["items"])


@pytest.mark.slow
def test_a_slot_on_an_excluded_day_is_kept_back_and_shown(make_host: MakeHost) -> None:
    today = datetime.now(UTC).date()
    host = make_host(f"calendars: {{rest: {{dates: [{today}/{today + timedelta(days=2)}]}}}}\n").start()
    host.define("busy", "jobs: {busy: {command: [echo, x], schedule: every 1s, timezone: UTC, exclude: rest}}\n")
    until(lambda: slots(host, "busy"), what="a slot")
    first = slots(host, "busy")[0]
    assert (first["disposition"], first["run"], first["reason"]) == ("skipped", None, "excluded: rest")
    with host.client() as client:
        coming = client.request("GET", "/v1/jobs/busy/next?n=1")["items"]
    assert "excluded: rest" in coming[0]["remark"]


@pytest.mark.slow
def test_a_changed_zone_database_moves_next_slots_while_the_daemon_runs_and_at_its_start(make_host: MakeHost) -> None:
    host = make_host()
    database, source = host.directory / "zoneinfo", Path("/usr/share/zoneinfo")
    (database / "Europe").mkdir(parents=True)
    host.environment["PYTHONTZPATH"] = str(database)

    def install(rules_of: str, version: str) -> None:
        shutil.copy(source / rules_of, database / "draft")
        (database / "draft").rename(database / "Europe" / "Madrid")
        (database / "tzdata.zi").write_text(f"# version {version}\n")

    install("Europe/Madrid", "2026a")
    host.define("noon", "jobs: {noon: {command: [echo, x], schedule: 0 12 * * *, timezone: Europe/Madrid}}\n")
    host.start()
    first = next_at(host, "noon")
    install("Asia/Tokyo", "2026b")
    until(lambda: next_at(host, "noon") != first, 45.0, "the next slot moved")
    second = next_at(host, "noon")
    assert f"The next slot of noon moved from {first} to {second} (tzdata 2026a → 2026b)" in host.log()
    assert any("tzdata 2026a → 2026b" in problem for problem in host.status()["problems"])
    host.end()
    install("America/New_York", "2026c")
    host.start()
    moved = f"The next slot of noon moved from {second} to {next_at(host, 'noon')} (tzdata 2026b → 2026c)"
    assert moved in host.log()
    host.end()
    host.start()
    assert host.log().count("tzdata 2026b → 2026c") == 1

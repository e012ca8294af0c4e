"""A sceptic asks a living daemon why, and can check every answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobd.client import Client
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until


def kinds(answer: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(one["kind"], one["id"]) for one in answer["blockers"]]


def slots(client: Client, job: str, disposition: str) -> list[dict[str, Any]]:
    return client.slots(job=job, disposition=disposition)


def test_a_skipped_slot_names_the_run_in_its_way(served: Host) -> None:
    served.define("overrun", "jobs: {overrun: {command: [sleep, '60'], schedule: every 1s, timeout: 2m}}")
    with served.client() as client:
        (skipped, *_) = until(lambda: slots(client, "overrun", "skipped"))
        (started,) = slots(client, "overrun", "started")
        assert started["state"] == "running"
        answer = client.why("overrun", skipped["slot"])
        assert (answer["reason"], kinds(answer)) == ("overlap", [("run", started["run"])])
        assert answer["detail"].startswith("it would have fired at ")
        began = client.why("overrun", started["slot"])
        assert (began["reason"], kinds(began)[0]) == ("started", ("run", started["run"]))
        assert client.why("overrun")["reason"] == "running"
        assert kinds(client.why("overrun"))[0] == ("run", started["run"])
        served.define("overrun", "jobs: {}")
        until(lambda: client.why("overrun")["reason"] == "removed")
        client.cancel(started["run"])


def test_a_run_names_the_runs_that_fill_its_queue(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 4}\ndrain_timeout: 1s\nqueues: {narrow: {max_running: 2}}\n").start()
    host.define("work", "jobs: {work: {command: [sleep, '60'], queue: narrow, on_shutdown: stop}}")
    with host.client() as client:
        until(lambda: any(one["name"] == "work" for one in client.jobs()))
        first = [client.submit("work") for _ in range(2)]
        third, fourth = client.submit("work"), client.submit("work")
        until(lambda: all(client.run(run)["state"] == "running" for run in first))
        answer = client.why(third)
        assert (answer["reason"], kinds(answer)) == ("queue_full", [("run", int(run)) for run in first])
        assert f"2/2: #{first[0]} #{first[1]}" in answer["detail"]
        assert kinds(client.why(fourth)) == [*kinds(answer), ("behind", None)]
        assert client.why(first[0])["reason"] == "running"
        for run in (*first, third, fourth):
            client.cancel(run)
        until(lambda: client.run(third)["state"] == "cancelled")
        assert client.why(third)["reason"] == "cancelled"


def test_a_run_names_the_token_and_the_resource_that_it_waits_for(make_host: MakeHost) -> None:
    host = make_host(
        """
        workers: {max: 4}
        drain_timeout: 1s
        queues: {mail: {rate_limit: {rate: 1/hour, burst: 1}}}
        resources: {gpu: 2}
        """
    ).start()
    host.define(
        "work",
        """
        jobs:
          mail: {command: ['true'], queue: mail}
          train: {command: [sleep, '60'], uses: {gpu: 2}, on_shutdown: stop}
          render: {command: [sleep, '60'], uses: {gpu: 1}}
        """,
    )
    with host.client() as client:
        until(lambda: len(client.jobs()) == 3)
        sent, waits = client.submit("mail"), client.submit("mail")
        assert client.wait(sent, 15)["state"] == "succeeded"
        answer = client.why(waits)
        assert (answer["reason"], kinds(answer)) == ("rate_limit", [("rate_limit", "queue:mail")])
        left = datetime.fromisoformat(answer["until"]) - datetime.now(UTC)
        assert timedelta(minutes=50) < left <= timedelta(hours=1)
        held, asks = client.submit("train"), client.submit("render")
        until(lambda: client.run(held)["state"] == "running")
        answer = client.why(asks)
        assert (answer["reason"], kinds(answer)) == ("resource", [("resource", "gpu"), ("run", int(held))])
        assert f"2/2: #{held}" in answer["detail"]


def test_a_time_that_the_clock_skipped_is_told_with_the_slot_that_stands_for_it(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 2}\ndrain_timeout: 1s\n")
    clock = host.with_own_clock()
    clock.set_to(datetime(2026, 3, 8, 6, 59, 45, tzinfo=UTC))
    host.define(
        "gap",
        """
        jobs:
          fixed: {command: ['true'], schedule: 30 2 * * *, timezone: America/New_York}
          wild: {command: ['true'], schedule: '* 2 * * *', timezone: America/New_York}
        """,
    )
    host.start()
    with host.client() as client:
        coming = client.next("fixed", 1)[0]
        assert (coming["at"], "DST gap" in coming["remark"]) == ("2026-03-08T07:00:00Z", True)
        assert client.why("fixed", "2026-03-08T02:30")["reason"] == "due"
        clock.step(timedelta(seconds=15))
        until(lambda: slots(client, "fixed", "started"))
        run = until(lambda: [one for one in client.runs(job="fixed") if one["state"] == "succeeded"])[0]
        answer = client.why("fixed", "2026-03-08T02:30")
        assert (answer["reason"], kinds(answer)) == ("started", [("run", run["id"])])
        assert answer["detail"].startswith("2026-03-08 02:30 never was, and it was due at 2026-03-08 03:00:00 -0400")
        assert client.why("wild", "2026-03-08T02:30")["reason"] == "dst_gap"
        assert client.why("fixed", "2026-03-07T02:30")["reason"] == "before_first_seen"
        nothing = client.why("fixed", "2026-03-08T05:00")
        assert (nothing["reason"], kinds(nothing)[0]) == ("not_due", ("slot", "2026-03-08T07:00:00Z"))


@pytest.mark.slow
def test_a_night_without_jobd_is_explained_slot_by_slot(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 2}\ndrain_timeout: 1s\n")
    clock = host.with_own_clock()
    clock.set_to(datetime(2026, 5, 1, 22, 0, 30, tzinfo=UTC))
    text = "jobs: {hourly: {command: ['true'], schedule: 0 * * * *, timezone: UTC, catch_up_window: 2h}}"
    host.define("hourly", text)
    host.start()
    host.kill()
    clock.set_to(datetime(2026, 5, 2, 6, 30, tzinfo=UTC))
    host.start()
    with host.client() as client:
        until(lambda: slots(client, "hourly", "started"))
        for hour, reason in ((6, "started"), (5, "coalesced"), (3, "coalesced")):
            assert client.why("hourly", f"2026-05-02T0{hour}:00")["reason"] == reason, hour
        assert ("slot", "2026-05-02T06:00:00Z") in kinds(client.why("hourly", "2026-05-02T05:00"))

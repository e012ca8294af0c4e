"""Pauses and circuits of a living daemon: over restarts, ending by themselves, beside work that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until


def slots(host: Host, job: str) -> list[tuple[str, str]]:
    """(disposition, reason) of the job's slots, oldest first."""
    with host.client() as client:
        found = client.request("GET", "/v1/slots", query={"job": job, "limit": "1000"})["items"]
    return [(one["disposition"], one["reason"]) for one in reversed(found)]


def post(host: Host, path: str, body: Any = None) -> Any:
    with host.client() as client:
        return client.request("POST", path, body=body)


def job_of(host: Host, name: str) -> dict[str, Any]:
    with host.client() as client:
        found: dict[str, Any] = client.request("GET", f"/v1/jobs/{name}")
    return found


def submit(host: Host, job: str, **more: Any) -> int:
    with host.client() as client:
        return int(client.submit(job, **more))


@pytest.mark.slow
def test_a_pause_outlives_a_restart_and_its_time_owes_nothing(make_host: MakeHost) -> None:
    host = make_host()
    host.define("tick", "jobs: {tick: {command: ['true'], schedule: '* * * * * *', catch_up: all, overlap: allow}}\n")
    host.start()
    until(lambda: slots(host, "tick"), what="a first slot")
    post(host, "/v1/jobs/tick/pause", {"until": "8s", "note": "disk swap"})
    until(lambda: slots(host, "tick")[-1][0] == "skipped", what="a slot is skipped")
    waits = submit(host, "tick")
    host.kill_everything()
    host.start()
    assert host.run(waits)["state"] == "queued"
    assert job_of(host, "tick")["paused"]["note"] == "disk swap"
    until(lambda: slots(host, "tick")[-1][0] == "started", what="the pause ends by itself")
    assert host.ended(waits)["state"] == "succeeded"
    words = [word for word, _ in slots(host, "tick")]
    first, last = words.index("skipped"), len(words) - words[::-1].index("skipped")
    assert set(words[first:last]) == {"skipped"}
    assert all(reason.startswith("paused: disk swap (by ") for word, reason in slots(host, "tick") if word == "skipped")


@pytest.mark.slow
def test_a_pause_that_ended_while_jobd_was_down_owes_nothing_either(make_host: MakeHost) -> None:
    host = make_host()
    host.define("tick", "jobs: {tick: {command: ['true'], schedule: '* * * * * *', catch_up: all, overlap: allow}}\n")
    host.start()
    paused_until = post(host, "/v1/jobs/tick/pause", {"until": "2s"})["until"]
    host.kill_everything()
    ended = until(lambda: _has_passed(paused_until), what="the pause is over")
    assert ended
    host.start()
    until(lambda: slots(host, "tick")[-1:] and slots(host, "tick")[-1][0] == "started", what="it fires again")
    with host.client() as client:
        found = client.request("GET", "/v1/slots", query={"job": "tick", "limit": "1000", "to": paused_until})["items"]
    assert {one["disposition"] for one in found[:2]} == {"skipped"}
    assert job_of(host, "tick")["paused"] is None


def _has_passed(at: str) -> bool:
    from datetime import UTC, datetime

    return datetime.now(UTC) > datetime.fromisoformat(at.replace("Z", "+00:00"))


def test_a_paused_queue_starts_nothing_until_it_is_resumed_and_others_go_on(make_host: MakeHost) -> None:
    host = make_host("queues: {mail: {max_running: 2}}\n").start()
    host.define("work", "jobs: {work: {command: ['true']}}\n")
    until(lambda: _defined(host, "work"), what="the definition is in force")
    post(host, "/v1/queues/mail/pause", {"note": "relay is down"})
    waiting = [submit(host, "work", queue="mail") for _ in range(5)]
    assert host.ended(submit(host, "work"))["state"] == "succeeded"
    assert {host.run(run)["state"] for run in waiting} == {"queued"}
    with host.client() as client:
        assert client.request("GET", "/v1/queues/mail")["paused"]["note"] == "relay is down"
        why = client.request("GET", f"/v1/runs/{waiting[0]}/why")
    assert (why["reason"], why["blockers"][0]["kind"]) == ("paused", "queue")
    assert post(host, "/v1/queues/mail/resume")["was_paused"]
    assert [host.ended(run)["state"] for run in waiting] == ["succeeded"] * 5


def _defined(host: Host, job: str) -> bool:
    with host.client() as client:
        return any(one["name"] == job for one in client.request("GET", "/v1/jobs")["items"])


@pytest.mark.slow
def test_a_circuit_opens_tries_and_closes(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host()
    works = tmp_path / "works"
    host.define(
        "feed",
        f"""
        jobs:
          feed:
            command: [test, -e, {works}]
            schedule: "* * * * * *"
            circuit_breaker: {{failures: 2, cooldown: 2s}}
        """,
    )
    host.start()
    until(lambda: job_of(host, "feed")["circuit"]["open"], what="the circuit opens")
    until(lambda: slots(host, "feed")[-1][1].startswith("circuit: open after 2 failures"), what="a slot is skipped")
    waits = submit(host, "feed")
    assert host.run(waits)["state"] == "queued"
    works.touch()
    assert host.ended(waits)["state"] == "succeeded"
    until(lambda: not job_of(host, "feed")["circuit"]["open"], what="the circuit closes")
    until(lambda: slots(host, "feed")[-1][0] == "started", what="it fires again")
    words = "".join(word[1] for word, _ in slots(host, "feed"))
    assert words.startswith("ttk"), "two failures, then nothing starts"


@pytest.mark.slow
def test_a_thousand_paused_jobs_with_waiting_runs_beside_one_that_works(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 2}\n")
    names = [f"held-{number:04}" for number in range(1000)]
    lines = [f"  {name}: {{command: ['true'], max_running: 1}}" for name in names]
    host.define("all", "\n".join(["jobs:", *lines, "  works: {command: ['true']}", ""]))
    host.start(60.0)
    with host.client() as client:
        for name in names:
            client.request("POST", f"/v1/jobs/{name}/pause", body={})
        client.request("POST", "/v1/runs", body=[{"job": name} for name in names for _ in range(3)])
        run = client.submit("works")
        assert host.ended(int(run))["state"] == "succeeded"
        assert client.request("GET", "/v1/queues/default")["pending"] == 3000
        client.request("POST", "/v1/jobs/held-0999/resume", body={})
        until(lambda: client.request("GET", "/v1/queues/default")["pending"] == 2997, 20.0, "one is resumed")

"""The ends of time: what lies beyond them is refused with a clear word, and what lies before them works (C14)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobd.core.errors import Invalid
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until
from tests.e2e.ledger import nothing_fired_twice, slots_of, started_runs

YEARS = "must lie between the years 2000 and 2199"
INSTANT = "must be an instant with a time zone"
SPAN = "out of range for a duration"
SUBMITS: list[tuple[dict[str, Any], str]] = [
    ({"run_at": "2038-01-19T03:14:07Z"}, "scheduled"),
    ({"run_at": "2038-01-19T03:14:08Z"}, "scheduled"),
    ({"run_at": "2199-12-31T23:59:59.999999Z"}, "scheduled"),
    ({"run_at": "2000-01-01T00:00:00Z"}, "queued"),
    ({"run_at": "1999-12-31T23:59:59Z"}, YEARS),
    ({"run_at": "1970-01-01T00:00:00Z"}, YEARS),
    ({"run_at": "2200-01-01T00:00:00Z"}, YEARS),
    ({"run_at": "9999-12-31T23:59:59-14:00"}, YEARS),
    ({"run_at": "0001-01-01T00:00:00+14:00"}, YEARS),
    ({"run_at": "-2026-01-01T00:00:00Z"}, INSTANT),
    ({"run_at": "2027-01-01"}, INSTANT),
    ({"run_at": 4102444800}, INSTANT),
    ({"run_at": "2027-02-30T00:00:00Z"}, "is no instant"),
    ({"run_at": "2016-12-31T23:59:60Z"}, "is no instant"),
    ({"run_at": "2027-01-01T00:00:00+99:99"}, "is no instant"),
    ({"delay": 0}, "queued"),
    ({"delay": "36500d"}, "scheduled"),
    ({"delay": 3153600000}, "scheduled"),
    ({"delay": 3153600001}, SPAN),
    ({"delay": -1}, SPAN),
    ({"delay": 1e308}, SPAN),
    ({"delay": 10**400}, SPAN),
    ({"delay": "99999999999999999999d"}, SPAN),
    ({"delay": "-1s"}, "is not a duration"),
    ({"timeout": 3153600000}, "queued"),
    ({"timeout": 1e-9, "max_attempts": 1}, "queued"),
    ({"timeout": -1}, SPAN),
    ({"timeout": 10**400}, SPAN),
]


@pytest.mark.parametrize(("options", "expected"), SUBMITS, ids=[str(options)[:60] for options, _ in SUBMITS])
def test_a_submit_at_the_end_of_time_is_taken_or_refused_with_a_clear_word(
    served: Host, options: dict[str, Any], expected: str
) -> None:
    with served.client() as client:
        if expected in ("scheduled", "queued"):
            answer = client.request("POST", "/v1/runs", body={"command": ["true"], **options})
            assert answer["state"] == expected
            if expected == "scheduled":
                client.cancel(answer["id"])
            else:
                assert served.ended(answer["id"])["state"] in ("succeeded", "failed")
        else:
            option = next(iter(options))
            with pytest.raises(Invalid, match=f"/{option} .*{re.escape(expected)}"):
                client.request("POST", "/v1/runs", body={"command": ["true"], **options})


def test_listings_reach_to_the_end_of_the_calendar_and_stop_there(served: Host) -> None:
    served.define("ages", "jobs:\n  century: {command: ['true'], schedule: every 36500d}\n")
    with served.client() as client:
        client.reload()
        items = client.next("century", 1000)
    assert 70 < len(items) < 90
    assert items[-1]["at"] > "9800"


BORDERS = ["2038-01-19T03:14:08", "2100-03-01T00:00:00", "2106-02-07T06:28:16", "2200-01-01T00:00:00"]


@pytest.mark.slow
def test_a_host_whose_clock_passes_the_end_of_32_bits_or_a_century_goes_on(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 2}\ndrain_timeout: 5s\n")
    clock = host.with_own_clock()
    host.define(
        "two",
        """
        defaults: {timezone: UTC, overlap: allow}
        jobs:
          fast: {command: ["true"], schedule: every 1s}
          minutely: {command: ["true"], schedule: "* * * * *"}
        """,
    )
    host.start()
    for border in BORDERS:
        at = datetime.fromisoformat(border).replace(tzinfo=UTC)
        clock.set_to(at - timedelta(seconds=1.5))
        until(lambda: clock.now() > at + timedelta(seconds=1), what=border)  # noqa: B023
        count = started_runs(host, "fast")
        until(lambda: started_runs(host, "fast") >= count + 2, what=border)  # noqa: B023
        minute = at.replace(second=0)
        if minute == at:
            assert slots_of(host, "minutely")[minute] == "started "
        with host.client() as client:
            run = client.submit_command(["true"], delay="1s")
        assert host.ended(run)["state"] == "succeeded"
    host.kill()
    host.start()
    count = started_runs(host, "fast")
    until(lambda: started_runs(host, "fast") >= count + 1)
    nothing_fired_twice(host)

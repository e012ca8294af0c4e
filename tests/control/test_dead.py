"""Dead letters over HTTP: what is listed, retried and dropped, and by whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobd.core.intents import DropDead, RetryDead
from jobd.core.records import DeadFilter
from jobd.core.states import RunState
from tests.control.desk import submitted
from tests.control.talk import Served, served


def died(it: Served, count: int = 1, owner: str = "root") -> list[int]:
    found = [submitted(it.desk, owner=owner) for _ in range(count)]
    for run in found:
        it.desk.move(run, RunState.FAILED)
    return found


def test_dead_letters_are_listed_with_their_four_facts(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        (run,) = died(it)
        (letter,) = (await it.get("/v1/dead-letters"))["items"]
        assert (letter["run"], letter["dlq_reason"], letter["dlq_attempts"]) == (run, "exit status 1", 3)
        assert (letter["dlq_timestamp"], letter["original_queue"]) == ("2026-03-01T12:00:00Z", "default")
        assert (await it.get(f"/v1/runs/{run}"))["dead_letters"][0]["action"] is None

    served(tmp_path, check)


def test_a_dry_run_says_which_and_asks_for_nothing(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        runs = died(it, 2)
        answer = await it.ask("POST", "/v1/dead-letters/retry", {"filter": {}, "dry_run": True})
        assert answer.json == {"runs": runs[::-1], "is_partial": False, "dry_run": True}
        assert it.desk.intents == []

    served(tmp_path, check)


def test_a_retry_takes_runs_or_a_filter_and_another_payload(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        (run,) = died(it)
        assert (await it.ask("POST", "/v1/dead-letters/retry", {"runs": [run], "payload": {"a": 1}})).json == {
            "runs": [run],
            "is_partial": False,
        }
        await it.ask("POST", "/v1/dead-letters/retry", {"filter": {"queue": "email"}})
        named, filtered = it.desk.intents
        assert isinstance(named, RetryDead)
        assert isinstance(filtered, RetryDead)
        assert (named.which, named.payload, named.replaces_payload) == (DeadFilter(runs=(run,)), {"a": 1}, True)
        assert (filtered.which, filtered.replaces_payload) == (DeadFilter(queue="email"), False)

    served(tmp_path, check)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"runs": [1], "filter": {}},
        {"runs": []},
        {"runs": ["1"]},
        {"runs": [True]},
        {"filter": {"state": "failed"}},
        {"filter": {"job": 3}},
        {"filter": {"job": "a b"}},
        {"filter": {}, "dry_run": 1},
        {"filter": {}, "payload": 2**70},
        {"filter": {}, "nonsense": 1},
    ],
)
def test_a_retry_that_makes_no_sense_is_refused(tmp_path: Path, body: Any) -> None:
    async def check(it: Served) -> None:
        assert (await it.ask("POST", "/v1/dead-letters/retry", body)).status == 422
        assert it.desk.intents == []

    served(tmp_path, check)


def test_dropping_everything_has_to_be_said(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        assert (await it.ask("DELETE", "/v1/dead-letters")).status == 422
        assert (await it.ask("DELETE", "/v1/dead-letters?runs=a")).status == 422
        assert (await it.ask("DELETE", "/v1/dead-letters?all=1")).status == 200
        assert (await it.ask("DELETE", "/v1/dead-letters?runs=4,5")).json["runs"] == [4, 5]
        assert [intent.which for intent in it.desk.intents if isinstance(intent, DropDead)] == [
            DeadFilter(),
            DeadFilter(runs=(4, 5)),
        ]

    served(tmp_path, check)


def test_statistics_count_by_queue_and_job(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        (one,) = (await it.get("/v1/dead-letters/stats"))["items"]
        assert (one["queue"], one["job"], one["count"]) == ("default", "backup", 2)

    served(tmp_path, check)

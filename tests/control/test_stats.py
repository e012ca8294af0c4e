"""Rolling figures over the API."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobd.control import stats
from jobd.core.states import RunState
from tests.control.desk import submitted
from tests.control.talk import Served, served

LONG_AGO = "since=2020-01-01T00:00:00Z"


def test_figures_are_told_by_job_and_by_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "_AT_ONCE", 2)

    async def check(it: Served) -> None:
        for state in (RunState.SUCCEEDED, RunState.SUCCEEDED, RunState.FAILED, RunState.RUNNING, RunState.SUCCEEDED):
            it.desk.move(submitted(it.desk), state)
        submitted(it.desk, "send-mail", queue="email")
        seen = await it.get(f"/v1/stats?{LONG_AGO}")
        assert [(line["name"], line["runs"]) for line in seen["items"]] == [("backup", 5), ("send-mail", 1)]
        assert seen["items"][0]["success_rate"] == 0.75
        assert (seen["total"]["runs"], seen["truncated"]) == (6, False)
        assert seen["total"]["duration"] == {"mean": 2.0, "p50": 2.0, "p90": 2.0, "p95": 2.0, "p99": 2.0, "max": 2.0}
        by_queue = await it.get(f"/v1/stats?{LONG_AGO}&by=queue&queue=email")
        assert [(line["name"], line["runs"]) for line in by_queue["items"]] == [("email", 1)]
        assert [line["name"] for line in (await it.get(f"/v1/stats?{LONG_AGO}&job=backup"))["items"]] == ["backup"]
        assert (await it.get("/v1/stats?since=2199-01-01T00:00:00Z"))["items"] == []

    served(tmp_path, check)


def test_an_answer_says_that_there_was_more_than_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "_AT_ONCE", 2)
    monkeypatch.setattr(stats, "_MOST_RUNS", 4)

    async def check(it: Served) -> None:
        for _ in range(5):
            submitted(it.desk)
        seen = await it.get(f"/v1/stats?{LONG_AGO}")
        assert (seen["total"]["runs"], seen["truncated"]) == (4, True)

    served(tmp_path, check)


def test_nonsense_is_refused(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        assert (await it.ask("GET", "/v1/stats?by=moon")).status == 422
        assert (await it.ask("GET", "/v1/stats?since=soon")).status == 422
        assert (await it.ask("GET", "/v1/stats?job=nobody")).status == 404

    served(tmp_path, check)

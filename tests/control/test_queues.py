"""Limits of queues over HTTP: set in place of jobd.yaml's, taken back, and told with who did it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobd.control.authorise import Deed, permits
from jobd.core.intents import Actor, SetQueue
from jobd.core.queues import Change
from jobd.core.roles import Role
from tests.control.talk import Served, served


def test_limits_are_set_and_told_as_overriding_what_jobd_yaml_says(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        before = await it.get("/v1/queues/email")
        assert (before["max_running"], before["rate_limit"], before["overrides"]) == (4, "100/min", None)
        assert before["rate_limit_usage"].keys() == {"current", "max", "percentage", "tokens", "next_at"}
        said = await it.ask(
            "PATCH", "/v1/queues/email", {"max_running": 2, "rate_limit": {"rate": "5/min", "burst": 1}}
        )
        assert said.status == 200
        assert said.json["overrides"] == {
            "set": {"max_running": 2, "rate_limit": {"rate": "5/min", "burst": 1}},
            "declared": {"max_running": 4, "rate_limit": "100/min"},
            "at": "2026-03-01T12:00:00Z",
            "by": "root",
        }

    served(tmp_path, check)


@pytest.mark.parametrize(
    ("body", "change"),
    [
        ({"max_running": None, "rate_limit": "default"}, Change(reset=("max_running", "rate_limit"))),
        ({"max_running": "none", "rate_limit": "none"}, Change({"max_running": None, "rate_limit": None})),
        ({"rate_limit": {"rate": "60/min"}}, Change({"rate_limit": "60/min"})),
    ],
)
def test_a_limit_is_lifted_or_taken_back(tmp_path: Path, body: Any, change: Change) -> None:
    async def check(it: Served) -> None:
        assert (await it.ask("PATCH", "/v1/queues/email", body)).status == 200
        (asked,) = it.desk.intents
        assert isinstance(asked, SetQueue)
        assert (asked.queue, asked.change) == ("email", change)

    served(tmp_path, check)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/queues/emial", {"max_running": 1}, 404),
        ("/v1/queues/email", {}, 422),
        ("/v1/queues/email", {"max_runing": 1}, 422),
        ("/v1/queues/email", {"max_running": 0}, 422),
        ("/v1/queues/email", {"max_running": True}, 422),
        ("/v1/queues/email", {"max_running": "4"}, 422),
        ("/v1/queues/email", {"rate_limit": "often"}, 422),
        ("/v1/queues/email", {"rate_limit": {"rate": "5/min", "burst": 0}}, 422),
        ("/v1/queues/email", {"rate_limit": []}, 422),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, path: str, body: Any, status: int) -> None:
    async def check(it: Served) -> None:
        assert (await it.ask("PATCH", path, body)).status == status
        assert it.desk.intents == []

    served(tmp_path, check)


def test_operators_set_limits_and_submitters_do_not() -> None:
    assert permits(Actor(1, 1, 1, "op", role=Role.OPERATOR), Deed.SET_QUEUE)
    assert not permits(Actor(1000, 1000, 1, "ann", role=Role.SUBMITTER), Deed.SET_QUEUE)

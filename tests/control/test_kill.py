"""Signals for runs over HTTP."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from jobd.core.intents import Noted
from tests.control.desk import MemoryDesk, submitted
from tests.control.talk import Served, served


def test_a_signal_reaches_a_running_run_and_the_audit_trail(tmp_path: Path) -> None:
    desk = MemoryDesk()
    run = submitted(desk)
    desk.start_attempt(run)

    async def check(at: Served) -> None:
        default = await at.ask("POST", f"/v1/runs/{run}/kill")
        hup = await at.ask("POST", f"/v1/runs/{run}/kill", {"signal": "hup"})
        assert default.json == {"id": run, "attempt": 1, "signal": "SIGTERM", "number": 15, "pids": [4711]}
        assert (hup.status, hup.json["signal"]) == (200, "SIGHUP")

    served(tmp_path, check, desk)
    assert desk.signals == [(run, signal.SIGTERM), (run, signal.SIGHUP)]
    noted = [one for one in desk.intents if isinstance(one, Noted)]
    assert [(one.did, one.on, one.result) for one in noted] == [("kill-run", f"run {run}", "done")] * 2
    assert noted[0].detail == "SIGTERM to attempt 1, processes 4711"


def test_a_run_that_does_not_run_is_sent_nothing(tmp_path: Path) -> None:
    desk = MemoryDesk()
    run = submitted(desk)

    async def check(at: Served) -> None:
        refused = await at.ask("POST", f"/v1/runs/{run}/kill", {"signal": "KILL"})
        assert (refused.status, refused.json["detail"]) == (
            409,
            f"run {run} is queued; a signal takes a run that is running",
        )
        assert (await at.ask("POST", "/v1/runs/99/kill")).status == 404

    served(tmp_path, check, desk)
    assert desk.signals == []
    assert [one.result for one in desk.intents if isinstance(one, Noted)] == ["refused"]


@pytest.mark.parametrize(
    "body", [{"signal": "NOPE"}, {"signal": 0}, {"signal": True}, {"signal": None}, {"sig": "TERM"}]
)
def test_what_is_no_signal_is_refused_at_its_place(tmp_path: Path, body: Any) -> None:
    desk = MemoryDesk()
    run = submitted(desk)
    desk.start_attempt(run)

    async def check(at: Served) -> None:
        refused = await at.ask("POST", f"/v1/runs/{run}/kill", body)
        assert (refused.status, refused.json["errors"][0]["path"]) == (422, f"/{next(iter(body))}")

    served(tmp_path, check, desk)
    assert desk.signals == []

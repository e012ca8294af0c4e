"""The line that tells how far a run is, while somebody waits for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobd.cli.bar import remaining, told
from jobd.cli.render import progress
from jobd.cli.times import instant

STARTED = "2026-03-01T12:00:00Z"
NOW = instant(STARTED) + timedelta(seconds=30)


def running(**values: Any) -> dict[str, Any]:
    return {"id": 7, "job": "backup", "state": "running", "started_at": STARTED, "duration": None} | values


@pytest.mark.parametrize(
    ("run", "usual", "left"),
    [
        (running(progress=0.25), None, 90.0),
        (running(progress=0.25), 40.0, 90.0),
        (running(progress=None), 40.0, 10.0),
        (running(progress=0.0), 40.0, 10.0),
        (running(progress=None), 20.0, None),
        (running(progress=None), None, None),
        (running(state="queued", started_at=None), 40.0, None),
    ],
)
def test_what_is_left_goes_by_progress_and_else_by_past_runs(
    run: dict[str, Any], usual: float | None, left: float | None
) -> None:
    assert remaining(run, usual, NOW) == left


def test_the_line_tells_how_far_and_how_long_still() -> None:
    line = told(running(progress=0.5, status_text="copying"), None, NOW)
    assert line == "run 7 running for 30s [##########..........]  50% copying about 30s left"
    assert told(running(state="queued", started_at=None), None, NOW) == "run 7 queued"


def test_a_bar_is_full_at_the_end_and_text_may_stand_alone() -> None:
    assert progress({"progress": 1.0}) == f"[{'#' * 20}] 100%"
    assert progress({"progress": None, "status_text": "thinking"}) == "thinking"
    assert progress({}) == ""

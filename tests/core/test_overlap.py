"""What becomes of a slot while runs of its job are active."""

from __future__ import annotations

from typing import Any

import pytest

from jobd.core.model import Command, Job, Schedule
from jobd.core.overlap import Active, Go, Policy, Skip, meet

IDLE, BUSY, BOTH = Active(), Active(running=(7,)), Active(waiting=(8, 9), running=(7,))


@pytest.mark.parametrize(
    ("policy", "active", "planned", "expected"),
    [
        ("skip", IDLE, 0, Go()),
        ("skip", BUSY, 0, Skip(7)),
        ("skip", Active(waiting=(8,)), 0, Skip(8)),
        ("skip", IDLE, 1, Skip(None)),
        ("queue", IDLE, 0, Go(supersedes=True)),
        ("queue", BUSY, 0, Go(supersedes=True)),
        ("queue", BOTH, 0, Go((8, 9), supersedes=True)),
        ("queue", Active(waiting=(8, 9), from_slots=(9,)), 0, Go((9,), supersedes=True)),
        ("replace", BOTH, 0, Go((7, 8, 9), supersedes=True)),
        ("allow", BOTH, 50, Go()),
        ("allow", Active((8,), (7,), max_running=3), 0, Go()),
        ("allow", Active((8,), (7,), max_running=3), 1, Skip(7)),
        ("allow", Active(max_running=1), 1, Skip(None)),
    ],
)
def test_each_policy_does_what_it_says(policy: Policy, active: Active, planned: int, expected: Go | Skip) -> None:
    assert meet(policy, active, planned) == expected


@pytest.mark.parametrize(
    ("schedule", "max_running", "limit"),
    [
        ({}, None, None),
        ({"expressions": ("@daily",)}, None, None),
        ({"expressions": ("@daily",), "overlap": "queue"}, None, 1),
        ({"expressions": ("@daily",), "overlap": "replace"}, None, 1),
        ({"expressions": ("@daily",), "overlap": "replace"}, 3, 1),
        ({"expressions": ("@daily",), "overlap": "queue"}, 3, 3),
        ({"overlap": "queue"}, None, None),
        ({"expressions": ("@daily",), "overlap": "allow"}, 4, 4),
    ],
)
def test_runs_that_wait_for_one_another_never_run_side_by_side(
    schedule: dict[str, Any], max_running: int | None, limit: int | None
) -> None:
    job = Job("job", Command(("true",)), schedule=Schedule(**schedule), max_running=max_running)
    assert job.running_limit == limit

"""Pictures of a workflow, from what the API answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jobd.cli.picture import dot, drawn, mermaid

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run(number: int, job: str, state: str, duration: float | None = None, **more: Any) -> dict[str, Any]:
    return {"id": number, "job": job, "state": state, "duration": duration, "started_at": None, **more}


def edge(parent: int, child: int, on: str, decision: str | None = None) -> dict[str, Any]:
    return {"parent": parent, "child": child, "on": on, "decision": decision}


TREE = {
    "run": 1,
    "items": [
        run(1, "release", "blocked"),
        run(2, "build", "succeeded", 3.0),
        run(3, "test", "failed", 2.5, outcome="failed", exit_code=7),
        run(4, "page", "succeeded", 1.0),
    ],
    "edges": [
        edge(2, 1, "success", "holds"),
        edge(3, 1, "success"),
        edge(2, 3, "success", "holds"),
        edge(3, 4, "failure", "holds"),
    ],
    "truncated": False,
}


def test_a_tree_shows_each_run_once_with_how_it_stands() -> None:
    assert drawn(TREE, NOW) == [
        "#2 build  succeeded  3s",
        "├─ success: #1 release  blocked ◀",
        "└─ success: #3 test  failed: 7  2.5s",
        "   ├─ success: #1 release (above)",
        "   └─ failure: #4 page  succeeded  1s",
    ]


def test_a_run_alone_is_a_tree_of_one() -> None:
    assert drawn({"run": 7, "items": [run(7, "work", "queued")], "edges": []}, NOW) == ["#7 work  queued ◀"]


def test_a_picture_that_is_cut_says_so() -> None:
    assert drawn({**TREE, "truncated": True}, NOW)[-1] == "… and more: these are the nearest"


def test_graphviz_gets_every_run_and_edge() -> None:
    lines = dot(TREE, NOW)
    assert lines[0] == "digraph workflow {"
    assert '  2 [label="#2 build\\nsucceeded  3s"];' in lines
    assert "  3 -> 1 [label=\"success\", style=dashed];" in lines  # fmt: skip
    assert '  3 -> 4 [label="failure"];' in lines
    assert lines[-1] == "}"


def test_mermaid_gets_every_run_and_edge() -> None:
    lines = mermaid(TREE, NOW)
    assert lines[0] == "flowchart LR"
    assert '  r3["#35;3 test<br/>failed: 7  2.5s"]' in lines
    assert "  r3 -.->|success| r1" in lines
    assert "  r3 -->|failure| r4" in lines

"""Which run waits for which: edges are added with their child, decided with the end of their parent, and left open
again when that is to end once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from jobd.core.records import ParentRecord
from jobd.core.states import Condition, Outcome, RunState
from jobd.store.connection import Transaction


class Decision(StrEnum):
    """What became of an edge."""

    HOLDS = "holds"
    CANCELS = "cancels"
    FAILS = "fails"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True)
class Edge:
    """`child` waits for `parent`; `hands` says whether it is given the parent's result."""

    parent: int
    child: int
    condition: Condition
    hands: bool = True


@dataclass(frozen=True, slots=True)
class OpenEdge:
    """An undecided edge whose parent has ended."""

    parent: int
    child: int
    condition: Condition
    parent_state: RunState
    parent_job: str


def add(tx: Transaction, edges: Iterable[Edge]) -> None:
    """Let runs wait for others; both are there."""
    tx.many("add_edge", ((edge.parent, edge.child, edge.condition, int(edge.hands)) for edge in edges))


def open_below(tx: Transaction, runs: Iterable[int]) -> list[OpenEdge]:
    """The undecided edges below those of the runs that have ended."""
    rows = tx.rows("open_edges", {"runs": json.dumps(list(runs))})
    return [
        OpenEdge(parent, child, Condition(condition), RunState(state), name.strip())
        for parent, child, condition, state, name in rows
    ]


def decide(tx: Transaction, edge: OpenEdge, decision: Decision) -> bool:
    """Say what became of an edge; False where that was said before."""
    tx.run("decide_edge", {"parent": edge.parent, "child": edge.child, "decision": decision})
    return bool(tx.changed())


def release(tx: Transaction, run: int) -> RunState | None:
    """Let a blocked run go whose edges are all decided; the state it has then, None where it stays as it is."""
    row = tx.row("release", {"run": run, "now": tx.at})
    return None if row is None else RunState(row[0])


def reopen(tx: Transaction, parent: int) -> list[int]:
    """Leave open again what a run decides; the children that were cancelled because of it."""
    children = [child for (child,) in tx.rows("broken_edges", {"parent": parent})]
    tx.run("reopen_edges", {"parent": parent})
    return children


def pass_blame(tx: Transaction, child: int) -> int | None:
    """Let another parent that did not end as it should answer for a cancelled run; None where there is none."""
    row = tx.row("pass_blame", {"child": child})
    return None if row is None else int(row[0])


def block_again(tx: Transaction, run: int) -> bool:
    """Let a cancelled run wait for its parents again; False where it is not cancelled."""
    tx.run("block_again", {"run": run, "now": tx.at})
    return bool(tx.changed())


def renew(tx: Transaction, child: int) -> None:
    """Let a run that waits or is tried again heed how those parents end that are tried again themselves."""
    tx.run("renew_edges", {"child": child})


def waive(tx: Transaction, child: int) -> None:
    """Let what a run's parents came to stand in its way no more."""
    tx.run("waive_edges", {"child": child})


def parents(tx: Transaction, child: int) -> list[ParentRecord]:
    """The runs that a run waited for, with what they hand to it."""
    return [
        ParentRecord(run, name.strip(), RunState(state), None if outcome is None else Outcome(outcome), error, result)
        for run, name, state, outcome, error, result in tx.rows("parents_of", {"child": child})
    ]

"""Edges on a real file: decided once, opened again, gone with their runs, and next to nothing where there are none."""

from __future__ import annotations

import json

import apsw
import pytest

from jobd.core.states import Condition, Outcome, RunState
from jobd.store import edges, retention, runs
from jobd.store.edges import Decision, Edge
from tests.store.builders import NOW, SECOND, Store, job
from tests.store.test_plans import steps_of


def tie(store: Store, *pairs: tuple[int, int], on: Condition = Condition.SUCCESS) -> None:
    with store.transaction() as tx:
        edges.add(tx, [Edge(parent, child, on) for parent, child in pairs])


def blocked(store: Store, parent: int, **more: object) -> int:
    """A run that waits for another one's success."""
    (child,) = store.submit(parent=parent, **more)
    tie(store, (parent, child))
    return child


def ended(store: Store, outcome: Outcome = Outcome.SUCCEEDED) -> int:
    (parent,) = store.submit()
    store.end(store.start(parent), outcome)
    return parent


def test_only_edges_below_ended_runs_are_open_to_a_decision(store: Store) -> None:
    (waiting,) = store.submit(run_at=NOW + 3600 * SECOND)
    parent = ended(store)
    child, other = blocked(store, parent), blocked(store, waiting)
    with store.transaction() as tx:
        (edge,) = edges.open_below(tx, [waiting, parent, 999])
        assert (edge.parent, edge.child, edge.parent_state, edge.parent_job) == (parent, child, "succeeded", "backup")
        assert edges.decide(tx, edge, Decision.HOLDS)
        assert not edges.decide(tx, edge, Decision.FAILS), "once"
        assert edges.open_below(tx, [parent]) == []
        assert edges.release(tx, child) is RunState.QUEUED
        assert edges.release(tx, child) is None
        assert edges.release(tx, other) is None


def test_a_run_is_let_go_with_its_last_edge_and_its_time_to_expire_begins(store: Store) -> None:
    first, second = ended(store), ended(store)
    child = blocked(store, first, expires_seconds=60)
    tie(store, (second, child))
    store.now = NOW + 600 * SECOND
    with store.transaction() as tx:
        a, b = edges.open_below(tx, [first, second])
        edges.decide(tx, a, Decision.HOLDS)
        assert edges.release(tx, child) is None
        edges.decide(tx, b, Decision.HOLDS)
        assert edges.release(tx, child) is RunState.QUEUED
    assert store.rows("SELECT run_at, (expires_at - run_at) / 1000000 FROM run WHERE id = ?", child) == [
        (round(store.now.timestamp() * 1e6), 60)
    ]


def test_a_pair_of_runs_has_one_edge(store: Store) -> None:
    parent = ended(store)
    child = blocked(store, parent)
    with pytest.raises(apsw.ConstraintError):
        tie(store, (parent, child), on=Condition.ALWAYS)


def test_what_a_waiting_run_is_to_be_handed_is_not_forgotten(store: Store) -> None:
    parent = ended(store)
    child = blocked(store, parent)
    with store.transaction() as tx:
        (first, _) = retention.ended(tx, 0, NOW + SECOND, 10)
        assert (first.run, first.is_awaited) == (parent, True)
        runs.cancel_waiting(tx, child, "enough")
        assert not retention.ended(tx, 0, NOW + SECOND, 10)[0].is_awaited


def test_an_edge_goes_with_either_of_its_runs(store: Store) -> None:
    parent = ended(store)
    blocked(store, parent)
    store.rows("DELETE FROM run WHERE id = ?", parent)
    assert store.rows("SELECT count(*) FROM edge") == [(0,)]


def test_runs_that_hang_together_are_found_from_each_of_them(store: Store) -> None:
    parent = ended(store)
    one, two = blocked(store, parent), blocked(store, parent)
    below = blocked(store, two)
    ended(store)
    for run in (parent, one, two, below):
        kin = store.history.kin(run)
        assert [relative.id for relative in kin.runs] == [parent, one, two, below]
        assert [(link[0], link[1]) for link in kin.edges] == [(parent, one), (parent, two), (two, below)]
    near = store.history.kin(below, most=2)
    assert ([relative.id for relative in near.runs], near.is_cut) == ([two, below], True)
    assert [wait.parent for wait in store.history.waits(below)] == [two]
    assert store.history.kin(999).runs == ()


def test_looking_for_children_of_runs_that_have_none_costs_next_to_nothing(store: Store) -> None:
    """For each run of a batch a handful of steps, however many edges have been decided."""
    batch = store.submit(job(), 64)
    bindings: dict[str, object] = {"runs": json.dumps(batch)}
    empty = steps_of(store, "open_edges", bindings)
    many = store.submit(job(), 2000)
    store.rows(
        "INSERT INTO edge (parent, child, condition, decision) "
        "SELECT id, id + 1, 'success', 'holds' FROM run WHERE id < ?",
        many[-1],
    )
    assert steps_of(store, "open_edges", bindings) == empty
    assert empty < 64 * 15

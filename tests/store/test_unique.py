"""Unique keys in the store: an index decides, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.core.model import Ending, Unique
from jobd.core.retention import Retention, is_old
from jobd.core.states import Outcome, RunState
from jobd.store import reservation, retention, runs, submits
from tests.store.builders import SECOND, Store, open_at

HOURLY = Unique(period_seconds=3600.0, states="all")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_at(tmp_path)
    yield opened
    opened.close()


ONCE = Unique()


def submit(store: Store, unique: Unique = ONCE, **more: Any) -> list[int]:
    return store.submit(unique=unique, **more)


def test_a_second_run_with_the_key_is_not_written_down(store: Store) -> None:
    (first,) = submit(store, payload={"a": 1})
    assert submit(store, payload={"a": 1}) == []
    assert submit(store, payload={"a": 2}) != []
    assert store.rows("SELECT sum(runs) FROM tally") == [(2,)]
    assert store.state(first) is RunState.QUEUED


def test_a_run_that_is_tried_again_holds_its_key_against_others_and_not_against_itself(store: Store) -> None:
    for _ in range(3):
        (run,) = submit(store)
        for attempt in (1, 2):
            key = store.start(run)
            with store.transaction() as tx:
                ending = Ending(Outcome.FAILED, store.now, store.now)
                runs.close_attempt(tx, key, ending)
                assert runs.run_again(tx, key, store.now + SECOND, ending, None, counts=True), attempt
            assert submit(store) == []
            store.now += 2 * SECOND
            with store.transaction() as tx:
                assert reservation.promote(tx) == 1
            assert submit(store) == []
        assert store.end(store.start(run))


def test_states_all_holds_the_key_after_the_end_and_through_the_period(store: Store) -> None:
    (run,) = submit(store, HOURLY)
    store.end(store.start(run))
    assert submit(store, HOURLY) == []
    store.now += timedelta(hours=1)
    assert submit(store, HOURLY) != []


def test_history_keeps_a_run_as_long_as_its_key_holds(store: Store) -> None:
    (run,) = submit(store, HOURLY)
    store.end(store.start(run))
    policy = Retention(succeeded=timedelta(0), failed=timedelta(0))
    for passed, goes in ((timedelta(minutes=59), False), (timedelta(hours=1), True)):
        store.now += passed
        with store.transaction() as tx:
            (ended,) = retention.ended(tx, 0, tx.now, 10)
        assert is_old(ended, policy, store.now) is goes


def test_a_failed_run_is_not_queued_again_while_another_holds_its_key(store: Store) -> None:
    (failed,) = submit(store)
    store.end(store.start(failed), Outcome.FAILED)
    (holder,) = submit(store)
    with store.transaction() as tx:
        assert runs.retry(tx, failed) is None
        found = submits.other_holder(tx, failed)
    assert found is not None and found.run == holder
    store.end(store.start(holder))
    with store.transaction() as tx:
        assert runs.retry(tx, failed) is RunState.QUEUED
    assert submit(store) == []

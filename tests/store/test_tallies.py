"""What is counted as it happens equals what a recount finds, whatever happens to runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from jobd.core.model import Ending
from jobd.core.states import Outcome
from jobd.store import reservation, retention, runs
from tests.store.builders import NOW, SECOND, Store, job

RECOUNTS = {
    "SELECT job, queue, state, runs FROM tally WHERE runs <> 0 ORDER BY 1, 2, 3": (
        "SELECT job, queue, state, count(*) FROM run GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ),
    "SELECT owner, runs FROM backlog WHERE runs <> 0 ORDER BY 1": (
        "SELECT owner, count(*) FROM run WHERE owner IS NOT NULL "
        "AND state IN ('blocked', 'scheduled', 'queued', 'retrying') GROUP BY 1 ORDER BY 1"
    ),
}


def check(store: Store) -> None:
    for counted, recount in RECOUNTS.items():
        assert store.rows(counted) == store.rows(recount)


class Life:
    """Whatever can become of runs, at random."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store, self.random = store, random.Random(seed)

    def submit(self) -> None:
        later = {"run_at": self.store.now + SECOND} if self.random.random() < 0.3 else {}
        queue, owner = self.random.choice(["default", "email"]), self.random.choice(["ann", "bob", None])
        name = self.random.choice(["a", "b"])
        self.store.submit(job(name), self.random.randrange(1, 4), queue=queue, owner=owner, **later)

    def end(self) -> None:
        for got in self.store.reserve(2, self.random.choice(["default", "email"])):
            self.store.end(got.key, self.random.choice([Outcome.SUCCEEDED, Outcome.FAILED]))

    def fail_and_wait(self) -> None:
        for got in self.store.reserve(1):
            with self.store.transaction() as tx:
                runs.run_again(tx, got.key, tx.now + SECOND, Ending(Outcome.FAILED), None, counts=True)

    def promote(self) -> None:
        self.store.now += SECOND
        with self.store.transaction() as tx:
            reservation.promote(tx)

    def cancel(self) -> None:
        with self.store.transaction() as tx:
            runs.cancel_waiting(tx, self.random.randrange(1, 40), "for a test")

    def retry(self) -> None:
        with self.store.transaction() as tx:
            runs.retry(tx, self.random.randrange(1, 40))

    def forget(self) -> None:
        with self.store.transaction() as tx:
            seen = retention.ended(tx, 0, tx.now + SECOND, 100)
            retention.forget(tx, [one for one in seen if one.finished_at is not None][:1])


@pytest.mark.parametrize("seed", range(5))
def test_counts_equal_a_recount_after_every_step(store: Store, seed: int) -> None:
    life = Life(store, seed)
    steps: list[Callable[[], None]] = [
        life.submit,
        life.end,
        life.fail_and_wait,
        life.promote,
        life.cancel,
        life.retry,
        life.forget,
    ]
    for _ in range(60):
        life.random.choice(steps)()
        check(store)


def test_the_last_day_of_a_queue_is_told_without_looking_at_its_runs(store: Store) -> None:
    for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SUCCEEDED):
        (run,) = store.submit(queue="email")
        (got,) = store.reserve(queue="email")
        assert got.key.run == run
        store.now += 2 * SECOND
        store.end(got.key, outcome, started_at=store.now - 2 * SECOND)
    found = store.history.queues(store.now)["email"]
    assert (found.executions_24h, found.succeeded_24h, found.failed_24h) == (3, 2, 1)
    assert found.average_seconds_24h == pytest.approx(2.0)
    assert store.history.queues(store.now + timedelta(hours=25))["email"].executions_24h == 0
    with store.transaction() as tx:
        retention.forget_figures(tx, NOW + timedelta(hours=1))
    assert store.rows("SELECT count(*) FROM finished") == [(0,)]


def test_the_oldest_run_of_a_queue_is_found_behind_any_lane_and_priority(store: Store) -> None:
    limited = job("limited", max_running=1)
    store.submit(job(), priority=5)
    store.now += SECOND
    store.submit(limited, priority=9)
    store.submit(job(queue="email"), queue="email")
    found = store.history.queues(store.now)
    assert found["default"].oldest_waiting_at == NOW
    assert found["email"].oldest_waiting_at == NOW + SECOND

"""Dead letters in the store: what failed for good waits until somebody acts, and what was done is remembered."""

from __future__ import annotations

from jobd.core.model import AttemptKey
from jobd.core.records import DeadFilter
from jobd.core.states import Outcome, RunState
from jobd.store import dead, runs
from tests.store.builders import NOW, SECOND, Store, job


def buried(store: Store, count: int = 1, queue: str = "default", **more: object) -> list[int]:
    found = store.submit(job(queue=queue), count, **more)
    for _ in found:
        (got,) = store.reserve(queue=queue)
        store.end(got.key, Outcome.FAILED, exit_code=3)
        with store.transaction() as tx:
            assert dead.bury(tx, got.key.run, "exit status 3")
    return found


def test_a_run_that_failed_for_good_is_kept_with_its_four_facts(store: Store) -> None:
    (run,) = buried(store, queue="email", owner="ann")
    (letter,), more = store.history.dead_letters(DeadFilter())
    assert (letter.run, letter.reason, letter.died_at, letter.attempts, letter.queue) == (
        run,
        "exit status 3",
        NOW,
        1,
        "email",
    )
    assert (letter.job, letter.owner, letter.exit_code, more) == ("backup", "ann", 3, None)


def test_only_a_failed_run_is_buried_and_only_once(store: Store) -> None:
    (run,) = store.submit()
    with store.transaction() as tx:
        assert not dead.bury(tx, run, "no")
    (other,) = buried(store, queue="email")
    with store.transaction() as tx:
        assert not dead.bury(tx, other, "again")
    assert len(store.history.deaths(other)) == 1


def test_what_was_settled_waits_no_more_and_is_remembered(store: Store) -> None:
    first, second = buried(store, 2)
    store.now += SECOND
    with store.transaction() as tx:
        assert dead.settle(tx, first, "dropped", "ann")
        assert not dead.settle(tx, first, "retried", "bob")
    assert [one.run for one in store.history.dead_letters(DeadFilter())[0]] == [second]
    (death,) = store.history.deaths(first)
    assert (death.action, death.acted_by, death.acted_at) == ("dropped", "ann", NOW + SECOND)


def test_a_run_can_die_again_after_a_retry(store: Store) -> None:
    (run,) = buried(store)
    with store.transaction() as tx:
        assert runs.retry(tx, run)
        dead.settle(tx, run, "retried", "ann")
    store.end(store.start(run), Outcome.TIMEOUT)
    with store.transaction() as tx:
        assert dead.bury(tx, run, "timeout")
    assert [(one.reason, one.attempts, one.action) for one in store.history.deaths(run)] == [
        ("exit status 3", 1, "retried"),
        ("timeout", 2, None),
    ]


def test_filters_and_pages_narrow_what_is_listed_and_chosen(store: Store) -> None:
    mine = buried(store, 2, owner="ann")
    theirs = buried(store, 3, queue="email", owner="bob")
    page, cursor = store.history.dead_letters(DeadFilter(limit=2))
    assert [one.run for one in page] == theirs[:0:-1]
    rest, end = store.history.dead_letters(DeadFilter(limit=9, before=cursor))
    assert ([one.run for one in rest], end) == ([theirs[0], *mine[::-1]], None)
    with store.transaction() as tx:
        assert dead.choose(tx, DeadFilter(owner="ann"), 10) == mine
        assert dead.choose(tx, DeadFilter(queue="email", runs=(mine[0], theirs[1])), 10) == [theirs[1]]
        assert dead.choose(tx, DeadFilter(job="nobody"), 10) == []
        assert dead.choose(tx, DeadFilter(), 2) == mine


def test_figures_count_by_queue_and_job(store: Store) -> None:
    buried(store, 2)
    store.now += SECOND
    buried(store, 1, queue="email")
    found = [(one.queue, one.job, one.count) for one in store.history.dead_figures()]
    assert found == [("default", "backup", 2), ("email", "backup", 1)]
    assert store.history.queues(store.now)["default"].dead_letters == 2


def test_a_dead_letter_goes_with_its_run(store: Store) -> None:
    (run,) = buried(store)
    store.rows("DELETE FROM run WHERE id = ?", run)
    assert store.history.deaths(run) == []


def test_a_payload_that_is_no_text_any_more_is_told_as_poison_and_spoils_no_listing(store: Store) -> None:
    bad, good = store.submit(payload={"a": 1}), store.submit(payload={"b": 2})
    store.rows("UPDATE run_data SET payload = CAST(x'7bff' AS TEXT) WHERE run = ?", bad[0])
    got = store.reserve(2)
    assert [(one.key, one.is_poison) for one in got] == [(AttemptKey(bad[0], 1), True), (AttemptKey(good[0], 1), False)]
    found = store.history.run(bad[0])
    assert found is not None
    assert (found.state, found.payload) == (RunState.RUNNING, "{\ufffd")

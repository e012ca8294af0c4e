"""The life of a run in the store: what any store must promise."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobd.core.allot import Lane
from jobd.core.model import AttemptKey, Ending, ProcessIdentity, RunRequest
from jobd.core.states import Outcome, RunState, Trigger
from jobd.store import coming, jobs, reservation, runs, submits
from jobd.store.open import open_store
from tests.examples import examples
from tests.store.builders import NOW, SECOND, WORKER, Store, job

# Accepting


def test_accepted_runs_get_ids_in_order_that_are_never_given_again(store: Store) -> None:
    assert store.submit(count=3) == [1, 2, 3]
    store.rows("DELETE FROM run WHERE id = 3")
    assert store.submit() == [4]


def test_a_transaction_that_raises_accepts_nothing(store: Store) -> None:
    ref = store.adopt(job())
    with pytest.raises(RuntimeError), store.transaction() as tx:
        submits.submit(tx, [(RunRequest(job(), Trigger.SUBMIT, payload={"a": 1}), ref)])
        raise RuntimeError
    assert store.rows("SELECT count(*) FROM run") == [(0,)]
    assert store.rows("SELECT count(*) FROM run_data") == [(0,)]


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
json_values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8
)


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(payload=json_values)
def test_a_payload_comes_back_as_it_was_given(store: Store, payload: object) -> None:
    (run,) = store.submit(payload=payload)
    found = store.history.run(run)
    assert found is not None
    assert found.payload == payload


def test_a_run_for_later_is_scheduled_and_not_reserved_before_it_is_promoted(store: Store) -> None:
    (run,) = store.submit(run_at=NOW + SECOND)
    assert store.state(run) is RunState.SCHEDULED
    with store.transaction() as tx:
        assert reservation.promote(tx) == 0
        assert coming.next_at(tx) == NOW + SECOND
    assert store.reserve() == []
    store.now += SECOND
    with store.transaction() as tx:
        assert reservation.promote(tx) == 1
        assert coming.next_at(tx) is None
    assert [got.key for got in store.reserve()] == [AttemptKey(run, 1)]


def test_promotion_goes_on_where_it_stopped(store: Store) -> None:
    store.submit(count=7, run_at=NOW + SECOND)
    store.now += SECOND
    with store.transaction() as tx:
        assert [reservation.promote(tx, most=3) for _ in range(4)] == [3, 3, 1, 0]


# Keys


def keyed(store: Store, key: str, owner: str = "ann", **more: object) -> tuple[int, RunState] | None:
    request = RunRequest(job(), Trigger.SUBMIT, key=key, owner=owner, **more)  # type: ignore[arg-type]
    ref = store.adopt(job())
    with store.transaction() as tx:
        holder = submits.holder_of(tx, request)
        if holder is None:
            (run,) = submits.submit(tx, [(request, ref)])
            submits.hold(tx, request, run)
        return holder


def test_a_key_names_one_run_for_24_hours_after_the_run_has_ended(store: Store) -> None:
    assert keyed(store, "k") is None
    assert keyed(store, "k") == (1, RunState.QUEUED)
    store.end(store.start(1))
    store.now += timedelta(hours=24) - SECOND
    assert keyed(store, "k") == (1, RunState.SUCCEEDED)
    store.now += SECOND
    assert keyed(store, "k") is None
    assert keyed(store, "k") == (2, RunState.QUEUED)


def test_a_key_is_held_as_long_as_its_run_is_not_final(store: Store) -> None:
    keyed(store, "k")
    store.now += timedelta(days=30)
    assert keyed(store, "k") == (1, RunState.QUEUED)


@pytest.mark.parametrize("other", [{"owner": "bob"}, {"queue": "email"}, {"adhoc": True}])
def test_a_key_is_its_owners_for_one_job_and_queue(store: Store, other: dict[str, object]) -> None:
    keyed(store, "k")
    assert keyed(store, "k", **other) is None  # type: ignore[arg-type]


# Order and lanes


def test_runs_are_reserved_by_priority_then_time_then_id(store: Store) -> None:
    dice = random.Random(7)
    expected = []
    for _ in range(60):
        priority, early = dice.choice([-10, 0, 10]), dice.randrange(3)
        (run,) = store.submit(priority=priority, run_at=NOW - early * SECOND)
        expected.append((-priority, -early, run))
    expected.sort()
    got = [one.key.run for _ in range(12) for one in store.reserve(5)]
    assert got == [run for _, _, run in expected]


def test_several_reserved_at_once_come_best_first_from_every_lane(store: Store) -> None:
    alone, limited = job("alone"), job("limited", max_running=2)
    lane = store.adopt(limited).job
    dice = random.Random(3)
    both = []
    for n in range(20):
        (run,) = store.submit(dice.choice([alone, limited]), priority=dice.randrange(-3, 3))
        both.append((run, n))
    by_store = store.history
    order = sorted((run for run, _ in both), key=lambda run: (-by_store.run(run).priority, run))  # type: ignore[union-attr]
    mine = {run for run in order if by_store.run(run).job == "limited"}  # type: ignore[union-attr]
    expected, taken = [], 0
    for run in order:
        if run in mine and (taken := taken + 1) > 2:
            continue
        expected.append(run)
    got = [one.key.run for one in store.reserve(8, room=[(0, 8), (lane, 2)])]
    assert got == expected[:8]


def test_a_lane_without_room_is_passed_over(store: Store) -> None:
    limited = job("limited", max_running=1)
    lane = store.adopt(limited).job
    first, second = store.submit(limited, 2, priority=10)
    (other,) = store.submit()
    assert [one.key.run for one in store.reserve(5, room=[(0, 5), (lane, 1)])] == [first, other]
    assert store.state(second) is RunState.QUEUED
    with store.transaction() as tx:
        assert reservation.running(tx) == {Lane("default", lane): 1, Lane("default", 0): 1}
        assert reservation.open_lanes(tx, "default", [], 9) == [lane]
        assert reservation.open_lanes(tx, "default", [lane], 9) == []


def test_every_lane_in_which_runs_wait_is_found(store: Store) -> None:
    expected = set()
    for number in range(12):
        definition = job(f"j{number}", max_running=number % 3 or None, queue=f"q{number % 5}")
        store.submit(definition, 3)
        expected.add(Lane(definition.queue, store.adopt(definition).job if definition.max_running else 0))
    with store.transaction() as tx:
        queues = reservation.waiting_queues(tx, "", 100)
        found = [Lane(queue, number) for queue in queues for number in reservation.open_lanes(tx, queue, [], 100)]
        assert queues == [f"q{number}" for number in range(5)]
        assert reservation.waiting_queues(tx, "q1", 2) == ["q2", "q3"]
        assert set(found) == expected
        assert len(found) == len(expected)
        assert sum(reservation.waiting(tx, lane.queue, lane.number, 1000) for lane in found) == 36
        assert reservation.waiting(tx, found[0].queue, found[0].number, 2) == 2


def test_the_best_lanes_come_first_and_none_that_is_full(store: Store) -> None:
    lanes = []
    for priority in (0, 5, -5, 9):
        definition = job(f"p{priority}", max_running=1)
        store.submit(definition, priority=priority)
        lanes.append(store.adopt(definition).job)
    with store.transaction() as tx:
        assert reservation.open_lanes(tx, "default", [], 2) == [lanes[3], lanes[1]]
        assert reservation.open_lanes(tx, "default", [lanes[3]], 2) == [lanes[1], lanes[0]]


def test_a_job_that_gets_a_limit_takes_its_waiting_runs_along(store: Store) -> None:
    store.submit(job(), 2)
    ref = store.adopt(job(max_running=1))
    with store.transaction() as tx:
        assert reservation.open_lanes(tx, "default", [], 9) == [ref.job]


# Attempts


def test_attempts_are_numbered_without_gaps(store: Store) -> None:
    (run,) = store.submit(max_attempts=4)
    for number in range(1, 5):
        key = store.start(run)
        assert key == AttemptKey(run, number)
        ending = Ending(Outcome.FAILED, store.now, store.now, exit_code=1)
        with store.transaction() as tx:
            runs.close_attempt(tx, key, ending)
            assert runs.run_again(tx, key, store.now, ending, None, counts=number != 2)
    assert [one.attempt for one in store.history.attempts(run)] == [1, 2, 3, 4]
    with store.transaction() as tx:
        assert runs.under_way(tx, AttemptKey(run, 4)) is None
    key = store.start(run)
    with store.transaction() as tx:
        under_way = runs.under_way(tx, key)
    assert under_way is not None
    assert under_way.spent == 4, "the attempt that was given back does not count"


def test_an_attempt_that_has_ended_never_changes(store: Store) -> None:
    (run,) = store.submit()
    key = store.start(run)
    store.end(key, exit_code=0)
    before = store.history.attempts(run)
    late = Ending(Outcome.LOST, error="too late")
    with store.transaction() as tx:
        runs.close_attempt(tx, key, late)
        runs.note_child(tx, key, ProcessIdentity("boot", 1, 1), store.now)
    assert store.history.attempts(run) == before
    with pytest.raises(apsw.ConstraintError, match="never changes"):
        store.rows("UPDATE attempt SET outcome = 'failed'")


def test_a_late_report_changes_nothing(store: Store) -> None:
    (run,) = store.submit()
    first = store.start(run)
    ending = Ending(Outcome.LOST, store.now, store.now)
    with store.transaction() as tx:
        runs.close_attempt(tx, first, ending)
        runs.run_again(tx, first, store.now, ending, "lost", counts=True)
    second = store.start(run)
    with store.transaction() as tx:
        assert runs.under_way(tx, first) is None
        assert not runs.end(tx, first, RunState.SUCCEEDED, Ending(Outcome.SUCCEEDED, result=[1]), None)
        assert not runs.run_again(tx, first, store.now, ending, None, counts=False)
    assert store.state(run) is RunState.RUNNING
    assert store.end(second)
    assert not store.end(second), "a run ends once"
    found = store.history.run(run)
    assert found is not None
    assert (found.state, found.result, found.attempts) == (RunState.SUCCEEDED, None, 2)


def test_the_child_of_an_attempt_is_remembered_for_recovery(store: Store) -> None:
    from jobd.store.recovery import left_running

    (run,) = store.submit(timeout_seconds=7.0)
    key = store.start(run)
    with store.transaction() as tx:
        runs.note_child(tx, key, ProcessIdentity("boot", 77, 88), NOW + SECOND)
        runs.cancel_running(tx, run, "by ann")
        (left,) = left_running(tx)
    assert (left.key, left.worker, left.child) == (key, WORKER, ProcessIdentity("boot", 77, 88))
    assert (left.started_at, left.timeout_seconds, left.cancelling) == (NOW + SECOND, 7.0, True)


def test_a_result_is_kept_beside_the_payload(store: Store) -> None:
    (run,) = store.submit(payload={"in": 1})
    store.end(store.start(run), result={"out": ["ü"]})
    found = store.history.run(run)
    assert found is not None
    assert (found.payload, found.result) == ({"in": 1}, {"out": ["ü"]})


# Cancel and retry


def test_a_waiting_run_is_cancelled_at_once_and_never_reserved(store: Store) -> None:
    queued, later = *store.submit(), *store.submit(run_at=NOW + SECOND)
    with store.transaction() as tx:
        for run in (queued, later):
            ended = runs.cancel_waiting(tx, run, "by ann")
            assert ended is not None
            assert (ended.job_name, ended.queue) == ("backup", "default")
            assert runs.cancel_waiting(tx, run, "again") is None
            assert runs.cancel_running(tx, run, "again") is None
    store.now += SECOND
    with store.transaction() as tx:
        reservation.promote(tx)
    assert store.reserve(5) == []


def test_a_running_run_is_marked_and_names_the_attempt_to_stop_once(store: Store) -> None:
    (run,) = store.submit()
    key = store.start(run)
    with store.transaction() as tx:
        assert runs.cancel_waiting(tx, run, "by ann") is None
        assert runs.cancel_running(tx, run, "by ann") == key
        assert runs.cancel_running(tx, run, "by bob") is None
    found = store.history.run(run)
    assert found is not None
    assert found.cancelling


def test_a_cancelled_run_that_is_retried_is_not_being_cancelled_any_more(store: Store) -> None:
    (run,) = store.submit()
    key = store.start(run)
    with store.transaction() as tx:
        runs.cancel_running(tx, run, "by ann")
        runs.close_attempt(tx, key, Ending(Outcome.CANCELLED))
        runs.end(tx, key, RunState.CANCELLED, Ending(Outcome.CANCELLED), "by ann")
        assert runs.retry(tx, run)
    second = store.start(run)
    with store.transaction() as tx:
        under_way = runs.under_way(tx, second)
    assert under_way is not None
    assert not under_way.cancelling


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, None])
def test_only_a_failed_or_cancelled_run_is_retried(store: Store, outcome: Outcome | None) -> None:
    (run,) = store.submit()
    key = store.start(run)
    if outcome is not None:
        store.end(key, outcome)
    with store.transaction() as tx:
        assert not runs.retry(tx, run)


def test_a_failed_run_that_is_retried_gets_at_least_one_attempt_more(store: Store) -> None:
    (run,) = store.submit(max_attempts=1, payload=1)
    store.end(store.start(run), Outcome.FAILED, error="broken")
    with store.transaction() as tx:
        assert runs.retry(tx, run)
        submits.replace_payload(tx, run, 2)
    found = store.history.run(run)
    assert found is not None
    assert (found.state, found.max_attempts, found.finished_at, found.payload) == (RunState.QUEUED, 2, None, 2)
    assert store.start(run) == AttemptKey(run, 2)


# Everything at once


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_asked_a_run_has_one_state_and_its_attempts_no_gap(store: Store, seed: int) -> None:
    """A random life of ten runs, reports late and double included, against a model that keeps only the rules."""
    dice = random.Random(seed)
    mine = store.submit(count=10, max_attempts=100)
    model = dict.fromkeys(mine, ("queued", 0))
    issued: list[AttemptKey] = []
    for _ in range(60):
        store.now += SECOND
        run = dice.choice(mine)
        state, attempt = model[run]
        match dice.randrange(5):
            case 0:
                for got in store.reserve(2):
                    assert model[got.key.run] == ("queued", got.key.attempt - 1)
                    model[got.key.run] = ("running", got.key.attempt)
                    issued.append(got.key)
            case 1 if issued:
                key = dice.choice(issued)
                counts = model[key.run] == ("running", key.attempt)
                assert store.end(key, dice.choice([Outcome.SUCCEEDED, Outcome.FAILED])) == counts
                if counts:
                    model[key.run] = (str(store.state(key.run)), key.attempt)
            case 2 if issued:
                key = dice.choice(issued)
                ending = Ending(Outcome.LOST, store.now, store.now)
                counts = model[key.run] == ("running", key.attempt)
                with store.transaction() as tx:
                    if runs.under_way(tx, key) is not None:
                        runs.close_attempt(tx, key, ending)
                    assert runs.run_again(tx, key, store.now, ending, None, counts=True) == counts
                if counts:
                    model[key.run] = ("queued", key.attempt)
            case 3:
                with store.transaction() as tx:
                    assert (runs.cancel_waiting(tx, run, "") is not None) == (state == "queued")
                if state == "queued":
                    model[run] = ("cancelled", attempt)
            case 4:
                with store.transaction() as tx:
                    assert (runs.retry(tx, run) is not None) == (state in ("failed", "cancelled"))
                if state in ("failed", "cancelled"):
                    model[run] = ("queued", attempt)
    for run, (state, attempt) in model.items():
        assert store.state(run) == state
        assert [one.attempt for one in store.history.attempts(run)] == list(range(1, attempt + 1))
    # The next example starts without these: whatever waits is reserved, and whatever runs is ended.
    for key in [*issued, *(got.key for got in store.reserve(100))]:
        store.end(replace(key))


def test_whoever_numbers_runs_is_asked_for_the_first_of_those_accepted_together(tmp_path: Path) -> None:
    class FromHost:
        def after(self, last: int) -> int:
            return max(last + 1, 7_000_001)

    writer, history = open_store(str(tmp_path / "jobd.db"), ids=FromHost())
    for expected in ([7_000_001, 7_000_002], [7_000_003]):
        with writer.transaction(NOW) as tx:
            ref = jobs.adopt(tx, job(), "f.yaml", starts_afresh=True)
            request = RunRequest(job(), Trigger.SUBMIT)
            assert submits.submit(tx, [(request, ref)] * len(expected)) == expected
    history.close()
    writer.close()

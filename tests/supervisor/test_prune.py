"""The history forgets what retention says, and nothing else, in steps that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobd.core.model import AttemptKey
from jobd.core.records import RunFilter
from jobd.core.retention import Pruned, Retention
from jobd.core.states import Condition, Disposition, Outcome
from jobd.store import dead, edges, jobs
from jobd.store.edges import Edge
from jobd.supervisor.prune import Pruner
from jobd.work.output import OutputFiles, path_of, shard
from tests.store.builders import Store, job, open_at

DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_at(tmp_path)
    yield made
    made.close()


def pruner(store: Store, directory: Path, policy: Retention | None = None, running: AttemptKey | None = None) -> Pruner:
    outputs = OutputFiles(str(directory / "output"))
    return Pruner(store.writer, outputs, policy or Retention(), lambda: store.now, lambda key: key == running)


def a_pass(it: Pruner) -> Pruned:
    done = Pruned()
    for _ in it.steps(done):
        pass
    return done


def ran(store: Store, outcome: Outcome = Outcome.SUCCEEDED, name: str = "backup", **more: object) -> int:
    (run,) = store.submit(job(name), **more)
    store.end(store.start(run), outcome)
    return run


def kept(store: Store) -> list[int]:
    return sorted(record.id for record in store.history.runs(RunFilter(limit=1000))[0])


def test_an_old_run_that_another_still_waits_beside_stays(store: Store, tmp_path: Path) -> None:
    parent = ran(store)
    store.now += 100 * DAY
    other, child = store.submit(), store.submit(parent=parent)
    with store.transaction() as tx:
        edges.add(tx, [Edge(parent, child[0], Condition.SUCCESS), Edge(other[0], child[0], Condition.SUCCESS)])
    a_pass(pruner(store, tmp_path, Retention(keep_last=0)))
    assert parent in kept(store)


def wrote(directory: Path, run: int, size: int = 10) -> Path:
    path = Path(path_of(str(directory / "output"), run, 1, "stdout"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_old_runs_go_with_their_attempts_payload_and_output(store: Store, tmp_path: Path) -> None:
    old = [ran(store, payload={"n": 1}) for _ in range(3)]
    paths = [wrote(tmp_path, run) for run in old]
    store.now += 31 * DAY
    new = ran(store)
    assert a_pass(pruner(store, tmp_path)).runs == 3
    assert kept(store) == [new]
    assert not any(path.exists() for path in paths)
    assert store.rows("SELECT count(*) FROM attempt") == [(1,)]
    assert store.rows("SELECT count(*) FROM run_data") == [(0,)]


def test_the_last_success_and_failure_of_each_job_stay_however_old(store: Store, tmp_path: Path) -> None:
    ran(store, Outcome.FAILED)
    failure = ran(store, Outcome.FAILED)
    ran(store)
    success, other = ran(store), ran(store, name="other")
    store.now += 400 * DAY
    a_pass(pruner(store, tmp_path))
    assert kept(store) == [failure, success, other]
    a_pass(pruner(store, tmp_path, Retention(keep_last=0)))
    assert kept(store) == []


def test_what_waits_runs_or_is_a_dead_letter_stays(store: Store, tmp_path: Path) -> None:
    (waiting,) = store.submit()
    running = store.start(waiting).run
    buried = ran(store, Outcome.FAILED)
    with store.transaction() as tx:
        dead.bury(tx, buried, "for a test")
    later = ran(store, Outcome.FAILED)
    store.now += 400 * DAY
    a_pass(pruner(store, tmp_path))
    assert kept(store) == [running, buried, later]


def test_a_pass_over_many_runs_is_many_short_transactions(store: Store, tmp_path: Path) -> None:
    for _ in range(4):
        store.submit(count=300)
        for got in store.reserve(300):
            store.end(got.key)
    store.now += 31 * DAY
    done = Pruned()
    for step, _ in enumerate(pruner(store, tmp_path).steps(done), start=1):
        assert done.runs <= step * 250
    assert done.runs == 1199
    assert len(kept(store)) == 1


def test_old_slots_go_and_new_ones_stay(store: Store, tmp_path: Path) -> None:
    ref = store.adopt(job())
    with store.transaction() as tx:
        for day in range(700):
            jobs.add_slot(tx, ref.job, store.now + day * DAY, Disposition.MISSED, None, "")
    store.now += 699 * DAY
    assert a_pass(pruner(store, tmp_path)).slots == 609
    found, _ = store.history.slots(None, None, None, 1000, None)
    assert len(found) == 91
    assert min(slot.slot for slot in found) == store.now - 90 * DAY


def test_output_is_held_to_its_bound_the_oldest_going_first(store: Store, tmp_path: Path) -> None:
    first, second, third = (wrote(tmp_path, 256 * n, 100) for n in (1, 2, 3))
    done = a_pass(pruner(store, tmp_path, Retention(output_max_bytes=150), running=AttemptKey(256, 1)))
    assert done.output_bytes == 200
    assert (first.exists(), second.exists(), third.exists()) == (True, False, False)
    (tmp_path / "output" / shard(0) / "not-ours").write_text("x" * 500)
    assert a_pass(pruner(store, tmp_path, Retention(output_max_bytes=50))).output_bytes == 100
    assert not first.exists()


def test_a_pass_is_taken_up_again_only_when_it_is_due(store: Store, tmp_path: Path) -> None:
    ran(store)
    store.now += 31 * DAY
    it = pruner(store, tmp_path, Retention(keep_last=0))
    it.step()
    assert len(kept(store)) == 1  # the first pass comes a while after the start
    it._due_at = 0.0
    for _ in range(3):
        it.step()
    assert kept(store) == []
    assert it._due_at > 0.0

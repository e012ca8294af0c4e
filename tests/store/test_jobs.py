"""What the store remembers of jobs and their slots."""

from __future__ import annotations

from datetime import timedelta

from jobd.core.model import Calendar, Ending, Schedule
from jobd.core.records import JobCounts
from jobd.core.states import Disposition, Outcome, RunState
from jobd.store import jobs, runs
from tests.store.builders import NOW, SECOND, Store, job, scheduled


def timing(store: Store, name: str = "hourly") -> jobs.Timing:
    with store.transaction() as tx:
        (found,) = (one for one in jobs.timings(tx) if one.name == name)
        assert jobs.timing(tx, found.job, name) == found
        return found


def test_a_job_seen_for_the_first_time_owes_nothing(store: Store) -> None:
    store.adopt(scheduled())
    found = timing(store)
    assert (found.first_seen_at, found.watermark, found.last_slot) == (NOW, NOW, None)


def test_a_known_job_keeps_its_watermark(store: Store) -> None:
    ref = store.adopt(scheduled())
    with store.transaction() as tx:
        jobs.move_watermark(tx, ref.job, NOW + SECOND, NOW)
        jobs.move_watermark(tx, ref.job, NOW + 2 * SECOND, None)
    before = timing(store)
    assert before.last_slot == NOW, "a move without a slot keeps the last one"
    store.now += timedelta(hours=5)
    assert store.adopt(scheduled(description="changed")).job == ref.job
    assert timing(store) == before


def test_a_job_that_starts_afresh_owes_nothing_before_now(store: Store) -> None:
    ref = store.adopt(scheduled())
    with store.transaction() as tx:
        jobs.move_watermark(tx, ref.job, NOW, NOW)
    store.now += timedelta(hours=5)
    store.adopt(scheduled(expression="1 * * * *"), starts_afresh=True)
    found = timing(store)
    assert (found.first_seen_at, found.watermark, found.last_slot) == (store.now, store.now, None)


def test_a_removed_job_is_out_of_force_and_its_history_stays(store: Store) -> None:
    (run,) = store.submit(scheduled())
    with store.transaction() as tx:
        jobs.remove(tx, "hourly")
        assert jobs.timings(tx) == []
        assert jobs.in_force(tx) == {}
    assert store.history.standings() == {}
    found = store.history.run(run)
    assert found is not None
    assert found.job == "hourly"
    store.adopt(scheduled())
    assert set(store.history.standings()) == {"hourly"}


def test_the_same_slot_is_written_once(store: Store) -> None:
    ref, other = store.adopt(scheduled()), store.adopt(scheduled("daily"))
    with store.transaction() as tx:
        assert jobs.add_slot(tx, ref.job, NOW, Disposition.STARTED, 7, "")
        assert not jobs.add_slot(tx, ref.job, NOW, Disposition.MISSED, 8, "late")
        assert jobs.add_slot(tx, other.job, NOW, Disposition.SKIPPED, None, "overlap")
    found, cursor = store.history.slots(None, None, None, 10, None)
    assert cursor is None
    assert {(one.job, one.slot, one.disposition, one.run, one.reason) for one in found} == {
        ("hourly", NOW, Disposition.STARTED, 7, ""),
        ("daily", NOW, Disposition.SKIPPED, None, "overlap"),
    }


def test_slots_are_listed_page_by_page_without_a_gap(store: Store) -> None:
    refs = [store.adopt(scheduled(f"j{n}")) for n in range(3)]
    with store.transaction() as tx:
        for n in range(7):
            for ref in refs:
                jobs.add_slot(tx, ref.job, NOW + n * SECOND, Disposition.STARTED, None, "")
    seen, cursor = [], None
    while True:
        page, cursor = store.history.slots(None, NOW + SECOND, None, 4, cursor)
        seen += [(one.slot, one.job) for one in page]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 18
    assert [at for at, _ in seen] == sorted((at for at, _ in seen), reverse=True)


def test_a_definition_is_kept_once_and_as_it_was(store: Store) -> None:
    rest = Schedule(("@daily",), exclude=(Calendar("holidays", (("2026-12-24", "2026-12-26"),)), Calendar("none")))
    first = job(env=(("A", "1"),), payload={"deep": [1, {"x": None}]}, schedule=rest)
    refs = [store.adopt(definition) for definition in (first, first, job(), first)]
    assert len({ref.spec for ref in refs}) == 2
    with store.transaction() as tx:
        assert jobs.spec_of(tx, refs[0].spec) == first


def test_only_unfinished_runs_of_the_job_are_active(store: Store) -> None:
    mine = store.submit(scheduled(), 4)
    store.submit(job())
    ended = store.reserve()[0].key
    store.end(ended)
    running = store.reserve()[0].key.run
    job_id = store.adopt(scheduled()).job
    with store.transaction() as tx:
        active = jobs.active_runs(tx, job_id)
    assert (ended.run, running) == (mine[0], mine[1])
    assert list(active.running) == [running]
    assert list(active.waiting) == mine[2:]


def test_a_standing_is_the_same_object_until_something_of_its_job_changes(store: Store) -> None:
    store.adopt(scheduled("still"))
    ref = store.adopt(scheduled())
    before = store.history.standings()
    assert store.history.standings()["hourly"] is before["hourly"]
    store.submit(scheduled())
    with store.transaction() as tx:
        jobs.move_watermark(tx, ref.job, NOW + SECOND, NOW)
    now = store.history.standings()
    assert now["still"] is before["still"]
    assert (now["hourly"].waiting, now["hourly"].last_slot) == (1, NOW)


def test_jobs_that_failed_last_are_counted_while_they_are_in_force(store: Store) -> None:
    store.adopt(scheduled("still"))
    assert store.history.job_counts() == JobCounts(failed=0, paused=0, circuit_open=0)
    ref = store.adopt(scheduled())
    with store.transaction() as tx:
        runs.note_last(tx, ref.job, 1, RunState.FAILED, Ending(Outcome.FAILED, NOW, NOW))
    assert store.history.job_counts() == JobCounts(failed=1, paused=0, circuit_open=0)
    with store.transaction() as tx:
        jobs.remove(tx, "hourly")
    assert store.history.job_counts() == JobCounts(failed=0, paused=0, circuit_open=0)


def test_one_job_stands_as_it_does_in_the_list_of_all(store: Store) -> None:
    store.adopt(scheduled("still"))
    store.submit(scheduled(), count=2)
    store.reserve()
    for name, standing in store.history.standings().items():
        assert store.history.standing(name) == standing
    assert store.history.standing("nope") is None
    with store.transaction() as tx:
        jobs.remove(tx, "hourly")
    assert store.history.standing("hourly") is None


def test_a_stored_definition_is_known_again_however_it_was_written(store: Store) -> None:
    store.adopt(scheduled())
    with store.transaction() as tx:
        (stored,) = jobs.in_force(tx).values()
    assert stored.is_defined_as(scheduled())
    assert not stored.is_defined_as(scheduled(description="another"))
    spaced = jobs.Stored(stored.text.replace(":", ": ", 1), stored.file, stored.ref)
    assert spaced.is_defined_as(scheduled())
    assert not jobs.Stored("{}", stored.file, stored.ref).is_defined_as(scheduled())

"""What became of due slots is told newest first, page by page, whatever else the history holds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from jobd.core.records import SlotRecord
from jobd.core.states import Disposition, Outcome, RunState
from jobd.store import jobs, runs, slots
from tests.store.builders import NOW, Store, scheduled

MINUTE = timedelta(minutes=1)


def decide(store: Store, name: str, *slots: tuple[int, Disposition]) -> None:
    """Slots of a job, by minutes after NOW."""
    ref = store.adopt(scheduled(name))
    with store.transaction() as tx:
        for minute, disposition in slots:
            assert jobs.add_slot(tx, ref.job, NOW + minute * MINUTE, disposition, None, "")


def walk(store: Store, limit: int, job: str | None = None, disposition: Disposition | None = None) -> list[SlotRecord]:
    found: list[SlotRecord] = []
    cursor = None
    while True:
        page, cursor = store.history.slots(job, None, None, limit, cursor, disposition)
        assert len(page) <= limit
        found += page
        if cursor is None:
            return found


def filled(store: Store) -> list[tuple[datetime, str]]:
    """Three jobs whose slots meet; all of them, newest first and in the order of the list."""
    decide(store, "often", *((minute, Disposition.STARTED) for minute in range(40)))
    decide(store, "seldom", (0, Disposition.MISSED), (39, Disposition.MISSED))
    decide(store, "odd", *((minute, Disposition.SKIPPED) for minute in range(1, 40, 2)))
    order = ["often", "seldom", "odd"]
    made = [(NOW + minute * MINUTE, "often") for minute in range(40)]
    made += [(NOW + minute * MINUTE, "odd") for minute in range(1, 40, 2)] + [
        (NOW, "seldom"),
        (NOW + 39 * MINUTE, "seldom"),
    ]
    return sorted(made, key=lambda one: (one[0], order.index(one[1])), reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_of_all_jobs_leave_nothing_out_and_nothing_twice(store: Store, limit: int) -> None:
    expected = filled(store)
    assert [(one.slot, one.job) for one in walk(store, limit)] == expected


def test_a_span_takes_its_start_in_and_leaves_its_end_out(store: Store) -> None:
    filled(store)
    found, _ = store.history.slots(None, NOW + MINUTE, NOW + 3 * MINUTE, 100, None)
    assert [(one.slot, one.job) for one in found] == [
        (NOW + 2 * MINUTE, "often"), (NOW + MINUTE, "odd"), (NOW + MINUTE, "often"),
    ]  # fmt: skip


def test_slots_of_one_disposition_are_found_among_all_others(store: Store) -> None:
    filled(store)
    assert [one.job for one in walk(store, 1, disposition=Disposition.MISSED)] == ["seldom", "seldom"]
    assert len(walk(store, 3, "odd", Disposition.SKIPPED)) == 20
    assert walk(store, 3, "odd", Disposition.MISSED) == []
    assert walk(store, 3, "nope", Disposition.MISSED) == []


def test_a_search_that_takes_long_stops_for_others_and_goes_on_where_it_was(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(store, "rare", (0, Disposition.MISSED), *((n * 1440, Disposition.STARTED) for n in range(1, 9)))
    assert [one.slot for one in walk(store, 5, disposition=Disposition.MISSED)] == [NOW]
    monkeypatch.setattr(slots, "_PATIENCE_SECONDS", 0.0)
    page, cursor = store.history.slots(None, None, None, 5, None, Disposition.MISSED)
    assert page == [] and cursor is not None
    assert [one.slot for one in walk(store, 5, disposition=Disposition.MISSED)] == [NOW]
    assert len(walk(store, 3, "rare", Disposition.STARTED)) == 8


def test_a_slot_tells_how_its_run_stands(store: Store) -> None:
    (run,) = store.submit(scheduled())
    ref = store.adopt(scheduled())
    with store.transaction() as tx:
        jobs.add_slot(tx, ref.job, NOW, Disposition.STARTED, run, "")
    (slot,) = walk(store, 5, "hourly")
    assert (slot.run, slot.run_state) == (run, RunState.QUEUED)
    with store.transaction() as tx:
        runs.cancel_waiting(tx, run, "not wanted")
    (slot,) = walk(store, 5)
    assert slot.run_state is RunState.CANCELLED


def test_the_slots_after_an_instant_come_oldest_first(store: Store) -> None:
    filled(store)
    found = store.history.slots_from("seldom", NOW + MINUTE, 5)
    assert [one.slot for one in found] == [NOW + 39 * MINUTE]


def test_a_cursor_that_no_page_gave_is_refused(store: Store) -> None:
    for cursor in ("x", "1", "1-2-3", "-"):
        with pytest.raises(ValueError):
            store.history.slots(None, None, None, 5, cursor)


def test_durations_are_those_of_runs_that_succeeded(store: Store) -> None:
    for outcome, seconds in ((Outcome.SUCCEEDED, 2), (Outcome.FAILED, 60), (Outcome.SUCCEEDED, 4)):
        (run,) = store.submit()
        key = store.start(run)
        store.now += timedelta(seconds=seconds)
        store.end(key, outcome, started_at=store.now - timedelta(seconds=seconds))
    assert store.history.durations("backup") == [4.0, 2.0]
    assert store.history.durations("backup", 2) == [4.0]
    assert store.history.durations("nope") == []

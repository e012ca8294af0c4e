"""Acknowledged is there after any failing write and any power cut; what was not is there whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from jobd.store.connection import StorageFailed
from tests.store import invariants
from tests.store.builders import Store, open_at
from tests.store.disk import Disk

PAYLOAD = {"text": "x" * 3000}
BATCH = 3


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk()
    yield made
    made.unregister()


def submit_until_it_fails(store: Store, batches: int = 5) -> list[int]:
    """What was acknowledged, in batches, before the first failure; the WAL is taken in amid them."""
    acked: list[int] = []
    try:
        for batch in range(batches):
            acked += store.submit(count=BATCH, payload=PAYLOAD)
            if batch == batches // 2:
                store.writer.checkpoint(truncate=True)
    except StorageFailed:
        pass
    return acked


def steps_of_a_load(disk: Disk, directory: Path) -> range:
    """Every write and sync of the load, counted on a disk that works."""
    directory.mkdir()
    store = open_at(directory)
    first = disk.done
    submit_until_it_fails(store)
    steps = range(1, disk.done - first + 1)
    store.close()
    return steps


def there(store: Store) -> list[int]:
    base = apsw.Connection(store.path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        assert invariants.broken(base) == {}
        assert invariants.is_whole(base)
        return [run for (run,) in base.execute("SELECT id FROM run ORDER BY id")]
    finally:
        base.close()


@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError])
def test_a_write_that_fails_takes_its_submit_with_it_and_nothing_else(
    disk: Disk, tmp_path: Path, error: type[Exception]
) -> None:
    disk.error = error
    for step in steps_of_a_load(disk, tmp_path / "counted")[::7]:
        directory = tmp_path / str(step)
        directory.mkdir()
        store = open_at(directory)
        disk.fails_at = disk.done + step
        acked = submit_until_it_fails(store)
        assert there(store) == acked
        acked += store.submit(count=BATCH, payload=PAYLOAD)
        assert there(store) == acked
        store.close()


def cut(disk: Disk, directory: Path, step: int, seed: int) -> None:
    """The power goes at this step of the load, and comes back."""
    before, after = directory / f"{step}-{seed}", directory / f"{step}-{seed}-after"
    before.mkdir()
    after.mkdir()
    store = open_at(before)
    disk.fails_at, disk.is_cut = disk.done + step, True
    acked = submit_until_it_fails(store)
    disk.remains(after, seed)
    disk.fails_at, disk.is_cut = None, False
    store.close()
    found = open_at(after)
    left = there(found)
    assert left[: len(acked)] == acked, f"lost at step {step}"
    assert len(left) % BATCH == 0, f"half a submit at step {step}"
    found.close()
    disk.platters.clear()


def test_a_power_cut_loses_nothing_that_was_acknowledged(disk: Disk, tmp_path: Path) -> None:
    for step in steps_of_a_load(disk, tmp_path / "counted")[::5]:
        cut(disk, tmp_path, step, seed=step)


@pytest.mark.slow
def test_nor_does_one_at_any_write_or_sync(disk: Disk, tmp_path: Path) -> None:
    for step in steps_of_a_load(disk, tmp_path / "counted"):
        for seed in range(3):
            cut(disk, tmp_path, step, seed)


def test_the_disk_of_these_tests_does_lose_what_is_not_forced_out(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "after").mkdir()
    store = open_at(tmp_path, synchronous="normal")
    store.submit(count=BATCH)
    store.writer.checkpoint(truncate=True)
    acked = store.submit(count=BATCH, payload=PAYLOAD)
    disk.remains(tmp_path / "after", seed=1)
    store.close()
    found = open_at(tmp_path / "after")
    assert not set(acked) <= set(there(found))
    found.close()

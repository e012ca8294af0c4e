"""How soon real files on a real disk are in force, and that no trouble with inotify loses a change."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import watchfiles

from jobd.definitions.catalog import Catalog
from jobd.definitions.library import Library
from jobd.definitions.watch import ended, follow, watch
from tests.definitions.builders import job, old

PATIENCE_SECONDS = 15.0
"""The bench says how soon; here it is only to be without a scan by time."""


class Following:
    """A library that is kept up to date, with what it told."""

    def __init__(self) -> None:
        self.library: Library
        self.catalogs: list[Catalog] = []
        self.complaints: list[str] = []
        self._told = asyncio.Event()

    def on_catalog(self, catalog: Catalog) -> None:
        self.catalogs.append(catalog)
        self._told.set()

    def on_degraded(self, detail: str) -> None:
        self.complaints.append(detail)
        self._told.set()

    async def until(self, holds: Callable[[], bool], within: float) -> float:
        """The seconds until something holds; fails the test if it takes longer than `within`."""
        started = time.monotonic()
        while not holds():
            self._told.clear()
            remaining = started + within - time.monotonic()
            assert remaining > 0, f"not within {within} s"
            try:
                await asyncio.wait_for(self._told.wait(), remaining)
            except TimeoutError:
                continue
        return time.monotonic() - started

    def names(self) -> set[str]:
        return set(self.library.catalog.jobs)


@asynccontextmanager
async def following(*directories: Path, rescan_seconds: float = 3600.0) -> AsyncIterator[Following]:
    """Follow directories; rescans by time are off unless asked for, so that what is found was found by watching."""
    found = Following()
    paths = [str(directory) for directory in directories]
    found.library = Library(paths)
    found.library.load()
    task = asyncio.create_task(
        follow(found.library, paths, found.on_catalog, found.on_degraded, rescan_seconds=rescan_seconds)
    )
    # The two hints that follow arming have passed: from here on only inotify tells of changes.
    await asyncio.sleep(0.7)
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


def test_changes_and_deletions_are_in_force_once_they_have_settled(tmp_path: Path) -> None:
    async def scene() -> None:
        old(tmp_path / "a.yaml", job("a"))
        async with following(tmp_path) as it:
            (tmp_path / "b.yaml").write_text(job("b"))
            await it.until(lambda: it.names() == {"a", "b"}, PATIENCE_SECONDS)
            (tmp_path / "b.yaml").write_text(job("b", "nice: 3"))
            await it.until(lambda: it.library.catalog.jobs["b"].job.nice == 3, PATIENCE_SECONDS)
            (tmp_path / "b.yaml").rename(tmp_path / "c.yaml")
            (tmp_path / "c.yaml").write_text(job("c"))
            await it.until(lambda: "c" in it.names(), PATIENCE_SECONDS)
            (tmp_path / "c.yaml").unlink()
            await it.until(lambda: it.names() == {"a"}, PATIENCE_SECONDS)

    asyncio.run(scene())


def test_a_drop_in_is_in_force_soon_and_so_is_its_directory(tmp_path: Path) -> None:
    async def scene() -> None:
        old(tmp_path / "a.yaml", job("a"))
        async with following(tmp_path) as it:
            (tmp_path / "a.yaml.d").mkdir()
            (tmp_path / "a.yaml.d" / "x.yaml").write_text("jobs: {a: {nice: 5}}\n")
            await it.until(lambda: it.library.catalog.jobs["a"].job.nice == 5, PATIENCE_SECONDS)
            (tmp_path / "a.yaml.d" / "x.yaml").write_text("jobs: {a: {nice: 6}}\n")
            await it.until(lambda: it.library.catalog.jobs["a"].job.nice == 6, PATIENCE_SECONDS)
            shutil.rmtree(tmp_path / "a.yaml.d")
            await it.until(lambda: it.library.catalog.jobs["a"].job.nice == 0, PATIENCE_SECONDS)

    asyncio.run(scene())


def test_a_file_written_byte_by_byte_is_never_in_force_in_part(tmp_path: Path) -> None:
    async def scene() -> None:
        path = old(tmp_path / "a.yaml", job("a"))
        text = job("a", "timeout: 30m", "nice: 4")
        async with following(tmp_path) as it:
            with path.open("w") as file:
                for character in text:
                    file.write(character)
                    file.flush()
                    await asyncio.sleep(0.01)
            await it.until(lambda: it.library.catalog.jobs["a"].job.nice == 4, PATIENCE_SECONDS)
            assert [set(catalog.jobs) for catalog in it.catalogs] == [{"a"}]
            assert not it.catalogs[0].problems

    asyncio.run(scene())


@pytest.mark.parametrize("gap", [0.0, 0.8])
def test_a_directory_that_is_removed_and_made_again_is_watched_again(tmp_path: Path, gap: float) -> None:
    async def scene() -> None:
        directory = tmp_path / "jobs.d"
        old(directory / "a.yaml", job("a"))
        async with following(directory) as it:
            shutil.rmtree(directory)
            await asyncio.sleep(gap)
            directory.mkdir()
            (directory / "b.yaml").write_text(job("b"))
            await it.until(lambda: "b" in it.names(), PATIENCE_SECONDS)
            await asyncio.sleep(0.7)
            (directory / "c.yaml").write_text(job("c"))
            await it.until(lambda: {"b", "c"} <= it.names(), PATIENCE_SECONDS)
            await it.until(lambda: "a" not in it.names(), PATIENCE_SECONDS)

    asyncio.run(scene())


@pytest.mark.slow
def test_a_directory_that_comes_into_being_later_is_watched(tmp_path: Path) -> None:
    async def scene() -> None:
        async with following(tmp_path / "later") as it:
            old(tmp_path / "later" / "a.yaml", job("a"))
            await it.until(lambda: it.names() == {"a"}, PATIENCE_SECONDS)

    asyncio.run(scene())


@pytest.mark.slow
def test_a_swapped_link_to_a_directory_is_noticed(tmp_path: Path) -> None:
    async def scene() -> None:
        old(tmp_path / "one" / "a.yaml", job("one"))
        old(tmp_path / "two" / "a.yaml", job("two"))
        link = tmp_path / "jobs.d"
        link.symlink_to("one")
        async with following(link) as it:
            (tmp_path / "new").symlink_to("two")
            os.replace(tmp_path / "new", link)
            await it.until(lambda: it.names() == {"two"}, PATIENCE_SECONDS)

    asyncio.run(scene())


def test_where_watching_fails_changes_are_still_in_force_and_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_instances(*paths: str, **options: object) -> object:
        raise OSError(24, "Too many open files")

    async def scene() -> None:
        monkeypatch.setattr(watchfiles, "awatch", no_instances)
        async with following(tmp_path) as it:
            await it.until(lambda: bool(it.complaints), PATIENCE_SECONDS)
            assert "Too many open files" in it.complaints[0]
            (tmp_path / "a.yaml").write_text(job("a"))
            await it.until(lambda: it.names() == {"a"}, PATIENCE_SECONDS)

    asyncio.run(scene())


@pytest.mark.slow
def test_events_that_inotify_lost_are_made_up_for_by_the_rescan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(*paths: str, **options: object) -> AsyncIterator[object]:
        await asyncio.Event().wait()
        yield None

    async def scene() -> None:
        monkeypatch.setattr(watchfiles, "awatch", deaf)
        async with following(tmp_path, rescan_seconds=1.0) as it:
            (tmp_path / "a.yaml").write_text(job("a"))
            await it.until(lambda: it.names() == {"a"}, PATIENCE_SECONDS)

    asyncio.run(scene())


@pytest.mark.slow
def test_a_storm_of_changes_costs_at_most_a_few_scans_a_second(tmp_path: Path) -> None:
    async def scene() -> None:
        hints = 0

        def count() -> None:
            nonlocal hints
            hints += 1

        task = asyncio.create_task(watch([str(tmp_path)], count, lambda _: None))
        await asyncio.sleep(0.7)
        hints = 0
        started = time.monotonic()
        while time.monotonic() - started < 2.0:
            (tmp_path / "a.yaml").write_text(job("a", f"nice: {hints % 20}"))
            await asyncio.sleep(0.01)
        assert 2 <= hints <= 8
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scene())


def test_an_unchanged_catalog_is_not_told_again(tmp_path: Path) -> None:
    async def scene() -> None:
        path = old(tmp_path / "a.yaml", job("a"))
        async with following(tmp_path) as it:
            os.utime(path)
            (tmp_path / "notes.txt").write_text("x")
            (tmp_path / "b.yaml").write_text(job("b"))
            await it.until(lambda: "b" in it.names(), PATIENCE_SECONDS)
            assert len(it.catalogs) == 1

    asyncio.run(scene())


@pytest.mark.parametrize("turns", range(6))
def test_it_ends_when_it_is_told_to_just_as_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """What was lost here was the end of jobd: systemd killed it when its patience was over."""
    (tmp_path / "jobs.d").mkdir()

    async def hints(_directories: object, on_hint: Callable[[], None], *_: object) -> None:
        (tmp_path / "jobs.d/new.yaml").write_text(job("new"))
        on_hint()
        await asyncio.sleep(0.05)  # it waits for the file to settle by now
        on_hint()
        for _turn in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.Event().wait()

    monkeypatch.setattr("jobd.definitions.watch.watch", hints)

    async def scenario() -> bool:
        nonlocal task
        library = Library([str(tmp_path / "jobs.d")])
        task = asyncio.create_task(follow(library, library._directories, lambda _: None, lambda _: None))
        await asyncio.wait([task], timeout=PATIENCE_SECONDS)
        return task.cancelled()

    task: asyncio.Task[None]
    assert asyncio.run(scenario())


def test_what_loses_a_cancellation_ends_all_the_same() -> None:
    async def stubborn() -> None:
        for _ in range(3):
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def scenario() -> None:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await asyncio.wait_for(ended(task), PATIENCE_SECONDS)
        assert task.done()

    asyncio.run(scenario())

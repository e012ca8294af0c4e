"""The definitions in force over time: changed files are read once they have settled, a bad one keeps its last good.

Looking is the caller's to start (`watch` says when it may be worth it); nothing here waits, but `load`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from jobd.definitions import folder
from jobd.definitions.cache import Cache
from jobd.definitions.catalog import Catalog, Contribution, assemble
from jobd.definitions.defined import Defined
from jobd.definitions.folder import Shelf, Source
from jobd.definitions.guard import Guard
from jobd.definitions.interpret import Rules
from jobd.definitions.problems import Malformed, Place, Problem
from jobd.definitions.reading import jobs


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the library looks before it believes what it sees; all in seconds."""

    settled: float = 0.3
    """A file is read once it has not changed for so long: writers may not be done."""
    absent: float = 1.0
    """A file is gone once it is missing for so long: editors rename."""
    doubted: float = 0.5
    """So much longer, seen once more, where most definitions go at once: that looks like a lost file system."""


_Doubt = tuple[tuple[str, str], Problem | None]
"""Why the directories cannot tell what is defined: for the health, and as a problem where there is one."""

NO_PATIENCE = Patience(0.0, 0.0, 0.0)
_MANY = 10


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a file last said: what it was read from, the jobs of its last good version, what is wrong with this one."""

    source: Source
    jobs: tuple[Defined, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(found.path for found in self.source.stamps)


class _Scan(NamedTuple):
    """A look at everything that is not at its end."""

    sources: dict[str, Source]
    rest: Iterator[tuple[str, Source]]
    degraded: list[_Doubt]


class Library:
    """Directories of definitions, the lowest first, and the catalog they amount to. For one thread."""

    def __init__(
        self,
        directories: Sequence[str],
        rules: Rules | None = None,
        *,
        guard: Guard | None = None,
        cache: Cache | None = None,
        patience: Patience | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._directories = tuple(directories)
        self._rules = rules or Rules()
        self._guard, self._cache = guard, cache
        self._patience = patience or Patience()
        self._monotonic = monotonic
        self._wall = wall
        self._shelves: dict[str, Shelf] = {}
        self._kept: dict[str, _Kept] = {}
        self._since: dict[str, tuple[Source, float]] = {}
        self._missing: dict[str, float] = {}
        self._doubted_at: float | None = None
        self._wait: float | None = None
        self._scan: _Scan | None = None
        self._degraded: list[_Doubt] = []
        self._is_stale = False
        """Whether the catalog does not say yet what the files do."""
        self.catalog = Catalog()

    @property
    def wait_seconds(self) -> float | None:
        """When to look again although nothing may change: a file is not settled or not gone yet; None if all is."""
        return self._wait if self._scan is None else 0.0

    def load(self) -> Catalog:
        """The catalog of what is there, waiting up to a second for files that are being written."""
        give_up_at = self._monotonic() + 1.0
        catalog = self.rescan()
        while (wait := self.wait_seconds) is not None and self._monotonic() < give_up_at:
            time.sleep(wait + 0.001)
            catalog = self.rescan()
        return catalog

    def rescan(self, *, budget_seconds: float | None = None) -> Catalog:
        """Look at every file and read those that changed.

        With a budget, reading stops when it is spent: the catalog stays as it was, `wait_seconds` is 0, and the next
        call goes on. So a thousand new files need not stop everything else.
        """
        if self._scan is None or budget_seconds is None:
            degraded = self._list()
            shelves = [self._shelves[directory] for directory in self._directories]
            sources = folder.sources(shelves, {name: kept.source for name, kept in self._kept.items()})
            self._scan, self._wait = _Scan(sources, iter(sources.items()), degraded), None
        scan, started = self._scan, self._monotonic()
        for name, source in scan.rest:
            kept = self._kept.get(name)
            if kept is not None and kept.source is source and not self._missing and not self._since:
                continue  # as nearly all are, whenever one of thousands changed
            self._look_at(name, source, self._monotonic())
            if budget_seconds is not None and self._monotonic() - started > budget_seconds:
                return self.catalog
        self._scan = None
        degraded = scan.degraded + self._let_go(scan.sources.keys(), self._monotonic())
        if self._is_stale or degraded != self._degraded:
            self.catalog = assemble(self._contributions(degraded), self.catalog.jobs, [one for one, _ in degraded])
            self._is_stale, self._degraded = False, degraded
        return self.catalog

    def let_go_of_cache(self) -> Cache | None:
        """The cache, which holds what a start met; what is read from now on is not taken from it."""
        cache, self._cache = self._cache, None
        return cache

    def remember(self, jobs: Iterable[Defined]) -> Catalog:
        """Take jobs as the last good ones of files that are broken now and never were good since this jobd started."""
        by_file: dict[str, list[Defined]] = {}
        before = dict(self.catalog.jobs)
        for one in jobs:
            before.setdefault(one.job.name, one)
            by_file.setdefault(one.file, []).append(one)
        for name, kept in self._kept.items():
            known = [one for file in kept.files for one in by_file.get(file, ())]
            if kept.problems and not kept.jobs and known:
                self._kept[name] = replace(kept, jobs=tuple(known))
        self.catalog = assemble(self._contributions(()), before)
        self._is_stale = True
        return self.catalog

    def go_by(self, rules: Rules) -> Iterator[None]:
        """Judge every file anew by other rules, pausing after each; the next rescan has what comes of it."""
        self._rules, self._scan = rules, None
        for name, kept in list(self._kept.items()):
            # A file that has changed meanwhile is read as any other that has, once it has settled.
            with suppress(folder.Changed):
                self._kept[name] = self._read(kept.source, kept)
            self._is_stale = True
            yield

    def preview(self, rules: Rules | None = None) -> Catalog:
        """The catalog a rescan without patience would give, by other rules where some are given; nothing changes."""
        other = Library(self._directories, self._rules, guard=self._guard, patience=NO_PATIENCE)
        other._kept = dict(self._kept)
        other._shelves = dict(self._shelves)
        other._is_stale = True
        other.catalog = self.catalog
        for _ in other.go_by(rules) if rules is not None else ():
            pass
        return other.rescan()

    def ignored(self) -> list[str]:
        """Paths that look like definitions and have names that are not read."""
        return [path for shelf in self._shelves.values() for path in shelf.ignored]

    def orphans(self) -> list[str]:
        """Directories of drop-ins for files that are nowhere."""
        present = {name for shelf in self._shelves.values() for name in shelf.files}
        return [
            os.path.join(directory, f"{name}.d")
            for directory, shelf in self._shelves.items()
            for name in shelf.drop_ins
            if name not in present
        ]

    def _list(self) -> list[_Doubt]:
        """List the directories; one that cannot be listed keeps its last listing, and is named."""
        failed: list[_Doubt] = []
        for directory in self._directories:
            try:
                self._shelves[directory] = folder.shelf(directory, self._shelves.get(directory))
            except Malformed as malformed:
                problem = malformed.problems[0]
                self._shelves.setdefault(directory, Shelf())
                failed.append((("definitions_unreadable", f"{problem}; its last known jobs stay in force"), problem))
        return failed

    def _look_at(self, name: str, source: Source, now: float) -> None:
        if self._missing.pop(name, None) is not None:
            self._is_stale = True
        kept = self._kept.get(name)
        if kept is not None and (kept.source is source or kept.source == source):
            self._since.pop(name, None)
            return
        if (remaining := self._unsettled(name, source, now)) > 0:
            self._look_again_in(remaining)
            return
        try:
            self._kept[name], self._is_stale = self._read(source, kept), True
            del self._since[name]
        except folder.Changed:
            self._since.pop(name)
            self._look_again_in(self._patience.settled)

    def _unsettled(self, name: str, source: Source, now: float) -> float:
        """The seconds until a changed source may be believed; 0 or less if it may be now."""
        known, since = self._since.get(name, (None, now))
        if known != source:
            since = now
            self._since[name] = (source, now)
        if self._lost_a_file(name, source):
            return self._patience.absent - (now - since)
        # What is in force is not touched before the change has been seen to last: package tools pass through states
        # that are none of ours. A file nobody had before is told by its age.
        is_new = name not in self._kept
        age = self._wall() - source.modified_ns / 1e9 if is_new else 0.0
        return self._patience.settled - max(now - since, age)

    def _lost_a_file(self, name: str, source: Source) -> bool:
        """Whether a file of the source went away, so that a lower one or fewer drop-ins are left."""
        if name not in self._kept:
            return False
        gone = {found.path for found in self._kept[name].source.stamps} - {found.path for found in source.stamps}
        return any(path and not self._lists(name, path) for path in gone)

    def _lists(self, name: str, path: str) -> bool:
        return any(
            found.path == path
            for shelf in self._shelves.values()
            for found in (*filter(None, [shelf.files.get(name)]), *shelf.drop_ins.get(name, {}).values())
        )

    def _read(self, source: Source, kept: _Kept | None) -> _Kept:
        try:
            found = _Kept(source, jobs(source, self._rules, self._guard, self._cache))
        except Malformed as malformed:
            found = _Kept(source, kept.jobs if kept else (), malformed.problems)
        if self._guard is not None:
            self._guard.clear()
        return found

    def _let_go(self, present: Set[str], now: float) -> list[_Doubt]:
        """Forget files that have been missing for long enough. Returns a reason to doubt it, if there is one."""
        missing = self._kept.keys() - present
        self._since = {name: since for name, since in self._since.items() if name in present}
        for name in missing:
            self._is_stale |= name not in self._missing
            self._missing.setdefault(name, now)
        gone = [name for name in missing if now - self._missing[name] >= self._patience.absent]
        for name in missing - set(gone):
            self._look_again_in(self._missing[name] + self._patience.absent - now)
        if doubt := self._doubt(gone, now):
            return [(("definitions_vanished", doubt), None)]
        for name in gone:
            del self._kept[name], self._missing[name]
            self._is_stale = True
        return []

    def _doubt(self, gone: list[str], now: float) -> str | None:
        """Why the loss of so many definitions is not believed yet."""
        lost, total = self._jobs_of(gone), self._jobs_of(self._kept)
        if total < _MANY or lost * 2 <= total:
            self._doubted_at = None
            return None
        if self._doubted_at is None:
            self._doubted_at = now
        remaining = self._doubted_at + self._patience.doubted - now
        if remaining <= 0:
            self._doubted_at = None
            return None
        self._look_again_in(remaining)
        return f"{lost} of {total} jobs vanished at once; they stay in force until that is seen again"

    def _jobs_of(self, names: Iterable[str]) -> int:
        return sum(len(self._kept[name].jobs) for name in names)

    def _look_again_in(self, seconds: float) -> None:
        self._wait = seconds if self._wait is None else min(self._wait, seconds)

    def _contributions(self, degraded: Iterable[_Doubt]) -> list[Contribution]:
        unreadable = tuple(problem for _, problem in degraded if problem is not None)
        files = [
            Contribution(kept.jobs, (*kept.problems, *self._objections(kept)), name in self._missing)
            for name, kept in self._kept.items()
        ]
        return [Contribution((), unreadable), *files]

    def _objections(self, kept: _Kept) -> list[Problem]:
        """What keeps jobs that are well written from being worked with."""
        if self._guard is None:
            return []
        found = [(one, why) for one in kept.jobs if (why := self._guard.objects(one))]
        return [Problem(Place(one.file, one.line, one.column), f"jobs.{one.job.name}", why) for one, why in found]

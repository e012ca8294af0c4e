"""The catalog over time: what is broken, half-written, moved or gone never takes away what works."""

from __future__ import annotations

import os
import random
import time
from itertools import pairwise
from pathlib import Path

import pytest

from jobd.definitions.catalog import Catalog, diff
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.library import NO_PATIENCE, Library
from jobd.definitions.parse import parse
from jobd.definitions.problems import Malformed
from tests.definitions.builders import Clock, job, old


class Scene:
    """A directory, a clock, and the library that looks at it."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.path = path
        self.library = self.clock.library(path)

    def write(self, name: str, text: str) -> Path:
        """Write a file now, by the scene's clock."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, (self.clock.wall(), self.clock.wall()))
        return path

    def look(self, after: float = 0.0) -> Catalog:
        self.clock.now += after
        return self.library.rescan()

    def settle(self) -> Catalog:
        self.look()
        self.look(1.1)
        return self.look(1.1)

    def names(self) -> set[str]:
        return set(self.library.catalog.jobs)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_file_is_read_once_it_has_not_changed_for_300_ms(scene: Scene) -> None:
    scene.write("a.yaml", job("a"))
    scene.look()
    assert scene.names() == set()
    assert scene.library.wait_seconds == pytest.approx(0.3, abs=0.02)
    scene.look(0.2)
    assert scene.names() == set()
    scene.write("a.yaml", job("b"))
    scene.look(0.2)
    assert scene.names() == set()
    scene.look(0.31)
    assert scene.names() == {"b"}
    assert scene.library.wait_seconds is None


def test_a_file_that_is_old_already_is_read_at_once(scene: Scene) -> None:
    old(scene.path / "a.yaml", job("a"))
    scene.look()
    assert scene.names() == {"a"}


def test_a_broken_file_keeps_its_last_good_jobs_and_others_apply(scene: Scene) -> None:
    scene.write("a.yaml", job("a", "nice: 1"))
    scene.settle()
    path = scene.write("a.yaml", job("a", "nice: soon"))
    scene.write("b.yaml", job("b"))
    catalog = scene.settle()
    assert catalog.jobs["a"].job.nice == 1
    assert scene.names() == {"a", "b"}
    assert [str(problem) for problem in catalog.problems] == [
        f'{path}:4:11: jobs.a.nice: "soon" is not a whole number (-20 to 19)'
    ]
    assert catalog.bad_files == {str(path)}
    scene.write("a.yaml", job("a", "nice: 2"))
    catalog = scene.settle()
    assert catalog.jobs["a"].job.nice == 2
    assert not catalog.problems


def test_a_broken_file_that_was_never_good_adds_nothing(scene: Scene) -> None:
    scene.write("a.yaml", "jobs: {")
    assert scene.settle().jobs == {}


def test_a_deleted_file_is_honoured_after_a_second(scene: Scene) -> None:
    path = scene.write("a.yaml", job("a"))
    scene.settle()
    path.unlink()
    scene.look()
    assert scene.names() == {"a"}
    scene.look(0.9)
    assert scene.names() == {"a"}
    assert scene.library.wait_seconds == pytest.approx(0.1, abs=0.02)
    scene.look(0.11)
    assert scene.names() == set()


def test_a_file_that_comes_back_within_a_second_was_never_gone(scene: Scene) -> None:
    path = scene.write("a.yaml", job("a"))
    before = scene.settle()
    path.rename(scene.path / "a.yaml~")
    scene.look()
    scene.look(0.9)
    scene.write("a.yaml", job("a"))
    for _ in range(5):
        assert diff(before, scene.look(0.3)) == ((), (), ())


def test_a_higher_file_that_is_renamed_away_for_a_moment_does_not_let_the_lower_one_through(tmp_path: Path) -> None:
    clock = Clock()
    low, high = old(tmp_path / "low" / "a.yaml", job("low")), old(tmp_path / "high" / "a.yaml", job("high"))
    library = clock.library(low.parent, high.parent)
    assert library.rescan().jobs.keys() == {"high"}
    content = high.read_text()
    high.unlink()
    assert library.rescan().jobs.keys() == {"high"}
    clock.now += 0.9
    assert library.rescan().jobs.keys() == {"high"}
    old(high, content)
    assert library.rescan().jobs.keys() == {"high"}
    high.unlink()
    library.rescan()
    clock.now += 1.01
    assert library.rescan().jobs.keys() == {"low"}


def test_a_drop_in_that_is_renamed_away_for_a_moment_stays_in_force(scene: Scene) -> None:
    scene.write("a.yaml", job("a"))
    drop_in = scene.write("a.yaml.d/x.yaml", "jobs: {a: {nice: 3}}\n")
    assert scene.settle().jobs["a"].job.nice == 3
    drop_in.unlink()
    assert scene.look(0.5).jobs["a"].job.nice == 3
    assert scene.settle().jobs["a"].job.nice == 0


def test_a_renamed_file_keeps_its_jobs_without_a_gap_and_without_a_dispute(scene: Scene) -> None:
    path = scene.write("a.yaml", job("a"))
    before = scene.settle()
    path.rename(scene.path / "b.yaml")
    for _ in range(8):
        catalog = scene.look(0.25)
        assert diff(before, catalog) == ((), (), ())
        assert not catalog.problems
    assert catalog.jobs["a"].file.endswith("b.yaml")


def test_a_name_defined_twice_is_refused_in_both_and_the_one_in_force_stays(scene: Scene) -> None:
    first = scene.write("a.yaml", job("same", "nice: 1") + "  other: {command: x}\n")
    scene.settle()
    second = scene.write("b.yaml", job("same", "nice: 2") + "  third: {command: x}\n")
    catalog = scene.settle()
    assert scene.names() == {"same", "other", "third"}
    assert catalog.jobs["same"].job.nice == 1
    assert [str(problem) for problem in catalog.problems] == [
        f"{first}:2:3: jobs.same: is also defined in {second}:2; the one in force before stays (rename one)",
        f"{second}:2:3: jobs.same: is also defined in {first}:2; the one in force before stays (rename one)",
    ]
    first.unlink()
    catalog = scene.settle()
    assert catalog.jobs["same"].job.nice == 2
    assert not catalog.problems


def test_a_name_defined_twice_from_the_start_is_in_force_in_neither(scene: Scene) -> None:
    for name in ("a", "b"):
        old(scene.path / f"{name}.yaml", job("same"))
    catalog = scene.look()
    assert catalog.jobs == {}
    assert "none is in force" in str(catalog.problems[0])


@pytest.mark.parametrize("fault", ["unreadable", "not a directory"])
def test_a_directory_that_cannot_be_read_keeps_everything_in_force(scene: Scene, fault: str) -> None:
    scene.write("a.yaml", job("a"))
    scene.settle()
    away = scene.path.with_name("away")
    if fault == "unreadable":
        scene.path.chmod(0o777)
    else:
        scene.path.rename(away)
        scene.path.write_text("")
    catalog = scene.settle()
    assert scene.names() == {"a"}
    assert [word for word, _ in catalog.degraded] == ["definitions_unreadable"]
    assert len(catalog.problems) == 1
    if fault == "unreadable":
        scene.path.chmod(0o755)
    else:
        scene.path.unlink()
        away.rename(scene.path)
    catalog = scene.settle()
    assert (catalog.degraded, catalog.problems) == ((), ())


def test_when_most_definitions_vanish_at_once_they_stay_until_that_is_seen_again(scene: Scene) -> None:
    paths = [old(scene.path / f"{index}.yaml", job(f"j{index}")) for index in range(12)]
    scene.look()
    for path in paths[:7]:
        path.unlink()
    scene.look()
    catalog = scene.look(1.01)
    assert len(catalog.jobs) == 12
    assert catalog.degraded[0][0] == "definitions_vanished"
    assert "7 of 12 jobs vanished at once" in catalog.degraded[0][1]
    assert scene.library.wait_seconds == pytest.approx(0.5)
    catalog = scene.look(0.51)
    assert (len(catalog.jobs), catalog.degraded) == (5, ())


def test_definitions_that_come_back_after_vanishing_were_never_gone(scene: Scene) -> None:
    for index in range(12):
        old(scene.path / f"{index}.yaml", job(f"j{index}"))
    before = scene.look()
    away = scene.path.with_name("away")
    scene.path.rename(away)
    scene.look()
    scene.look(1.01)
    away.rename(scene.path)
    assert diff(before, scene.settle()) == ((), (), ())


def test_one_changed_file_costs_that_file_only(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(20):
        old(scene.path / f"{index}.yaml", job(f"j{index}"))
    before = scene.look()
    opened: list[str] = []
    real = os.open

    def counted(path: str, *more: int, **named: int) -> int:
        opened.append(path)
        return real(path, *more, **named)

    monkeypatch.setattr(os, "open", counted)
    changed = old(scene.path / "7.yaml", job("j7", "nice: 1"))
    opened.clear()
    assert diff(before, scene.settle()).changed == ("j7",)
    assert opened == [str(changed)]


def test_a_job_that_only_moved_within_its_files_is_the_same(scene: Scene) -> None:
    old(scene.path / "a.yaml", job("a"))
    before = scene.look()
    old(scene.path / "a.yaml", "# moved\n\n" + job("a"))
    after = scene.settle()
    assert diff(before, after) == ((), (), ())
    assert after.jobs["a"].line == 4


def test_a_budget_cuts_reading_into_slices_and_shows_no_half(scene: Scene) -> None:
    for index in range(50):
        old(scene.path / f"{index}.yaml", job(f"j{index}"))
    library, slices = Library([str(scene.path)]), 0
    while len(library.rescan(budget_seconds=0.0).jobs) == 0:
        assert library.wait_seconds == 0
        slices += 1
    assert slices == 50
    assert len(library.catalog.jobs) == 50
    assert library.wait_seconds is None


def test_a_preview_shows_what_is_there_and_changes_nothing(scene: Scene) -> None:
    path = scene.write("a.yaml", job("a"))
    before = scene.settle()
    path.unlink()
    scene.write("b.yaml", job("b"))
    assert diff(before, scene.library.preview()) == (("b",), (), ("a",))
    assert scene.library.catalog is before


def test_loading_waits_for_a_file_that_was_just_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(job("a"))
    started = time.monotonic()
    assert Library([str(tmp_path)]).load().jobs.keys() == {"a"}
    assert time.monotonic() - started < 20


SEED = """\
defaults: {timezone: Europe/Madrid, timeout: 1h}
jobs:
  backup:
    command: [pg_dump, -Fc, shop]
    schedule: "30 2 * * *"
    env: {PGHOST: db1}
  report:
    shell: |
      echo one
      echo two
"""


def test_no_truncation_of_a_good_file_puts_anything_else_in_force(scene: Scene) -> None:
    """A cut that is a good file by itself may say less once it has settled; every other keeps the old jobs."""
    scene.write("a.yaml", SEED)
    scene.settle()
    whole = scene.library.catalog.jobs
    chance, kept = random.Random(3), 0
    for _ in range(250):
        cut = SEED[: chance.randrange(1, len(SEED))]
        scene.write("a.yaml", cut)
        assert scene.look().jobs == whole
        try:
            node = parse(cut.encode(), "a.yaml")
            assert node is not None
            interpret(node, [], Rules())
        except Malformed:
            assert scene.look(0.31).jobs == whole
            kept += 1
        scene.write("a.yaml", SEED)
        scene.settle()
        assert {name: one.job for name, one in scene.library.catalog.jobs.items()} == {
            name: one.job for name, one in whole.items()
        }
    assert kept > 30


def vim(path: Path, text: str) -> None:
    probe = path.with_name("4913")
    probe.write_text("")
    probe.unlink()
    swap = path.with_name(f".{path.name}.swp")
    swap.write_bytes(b"b0VIM")
    path.rename(f"{path}~")
    path.write_text(text)
    os.unlink(f"{path}~")
    swap.unlink()


def sed(path: Path, text: str) -> None:
    other = path.with_name("sedAbC123")
    other.write_text(text)
    other.rename(path)


def emacs(path: Path, text: str) -> None:
    lock = path.with_name(f".#{path.name}")
    lock.symlink_to("ana@host.123:456")
    path.with_name(f"#{path.name}#").write_text(text)
    path.rename(f"{path}~")
    path.write_text(text)
    path.with_name(f"#{path.name}#").unlink()
    lock.unlink()


def nano(path: Path, text: str) -> None:
    path.write_text(text)


def dpkg(path: Path, text: str) -> None:
    path.with_name(f"{path.name}.dpkg-new").write_text(text)
    os.link(path, f"{path}.dpkg-tmp")
    path.with_name(f"{path.name}.dpkg-new").rename(path)
    os.unlink(f"{path}.dpkg-tmp")


def rsync(path: Path, text: str) -> None:
    other = path.with_name(f".{path.name}.Xy12zQ")
    other.write_text(text)
    other.rename(path)


@pytest.mark.parametrize("edit", [vim, sed, emacs, nano, dpkg, rsync])
def test_every_editor_changes_the_job_once_and_nothing_else(
    scene: Scene, edit: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library looks after every single step of the editor."""
    scene.write("a.yaml", job("a", "nice: 1"))
    seen = [scene.settle()]

    def watched(name: str) -> None:
        real = getattr(os, name)

        def step(*given: object, **named: object) -> object:
            answer = real(*given, **named)
            seen.append(scene.look(0.01))
            return answer

        monkeypatch.setattr(os, name, step)

    for name in ("rename", "unlink", "link", "symlink"):
        watched(name)
    edit(scene.path / "a.yaml", job("a", "nice: 2"))  # type: ignore[operator]
    monkeypatch.undo()
    path = scene.path / "a.yaml"
    os.utime(path, (scene.clock.wall(), scene.clock.wall()))
    seen += [scene.look(0.1) for _ in range(15)]
    changes = [diff(before, after) for before, after in pairwise(seen)]
    assert [change for change in changes if change != ((), (), ())] == [((), ("a",), ())]
    assert not any(catalog.problems for catalog in seen)
    assert seen[-1].jobs["a"].job.nice == 2


def test_a_scan_that_finds_nothing_new_gives_the_same_catalog(tmp_path: Path) -> None:
    library, path = Library([str(tmp_path)], patience=NO_PATIENCE), tmp_path / "a.yaml"
    path.write_text("jobs: {one: {command: 'true'}}\n")
    found = library.rescan()
    assert library.rescan() is found
    path.write_text("jobs: {other: {command: 'true'}}\n")
    changed = library.rescan()
    assert set(changed.jobs) == {"other"}
    assert library.rescan() is changed
    path.unlink()
    assert library.rescan().jobs == {}

"""Which files count, in which order, and whose files are believed."""

from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from jobd.definitions import folder
from jobd.definitions.library import Library
from tests.definitions.builders import Clock, job, old

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def load(*directories: Path) -> Library:
    library = Clock().library(*directories)
    library.rescan()
    return library


def said(library: Library) -> list[str]:
    return [str(problem) for problem in library.catalog.problems]


@pytest.mark.parametrize(
    "name",
    [
        "a.yaml",
        "a.yml",
        "A-b_c.yaml",
        "a.b.yaml",
        "0.yaml",
        "php8.2.yaml",
        "user@host.yaml",
        "g++.yaml",
        f"{'x' * 100}.yaml",
    ],
)
def test_files_with_ordinary_names_are_read(name: str) -> None:
    assert folder.is_read(name)


@pytest.mark.parametrize(
    "name",
    [
        ".a.yaml", "_a.yaml", "a.yaml~", "#a.yaml#", ".#a.yaml", ".a.yaml.swp", ".a.yaml.swx", "4913",
        "a.yaml.dpkg-new", "a.yaml.dpkg-old", "a.yaml.dpkg-dist", "a.yaml.rpmsave", "a.yaml.rpmnew", "a.yaml.ucf-dist",
        "a.yaml.bak", "a.yaml.orig", "a.yaml.tmp", "sedAbC123", ".a.yaml.Xy12zQ", "a.json", "a", "yaml", ".yaml",
        "a.yaml.", "a b.yaml", "é.yaml", "a\n.yaml", "-a.yaml", "a.YAML.swp", f"{'x' * 200}.yaml",
    ],
)  # fmt: skip
def test_what_editors_and_packages_leave_behind_is_not_read(name: str) -> None:
    assert not folder.is_read(name)


def test_the_later_directory_wins_and_a_file_of_the_same_name_replaces(tmp_path: Path) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    old(low / "a.yaml", job("from-low"))
    old(low / "b.yaml", job("only-low"))
    old(high / "a.yaml", job("from-high"))
    assert load(low, high).catalog.jobs.keys() == {"from-high", "only-low"}


def test_an_empty_file_and_a_link_to_dev_null_mask(tmp_path: Path) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    for name in ("a", "b", "c"):
        old(low / f"{name}.yaml", job(name))
        old(low / f"{name}.yaml.d" / "x.yaml", f"jobs: {{{name}-more: {{command: x}}}}\n")
    old(high / "a.yaml", "")
    (high / "b.yaml").symlink_to("/dev/null")
    library = load(low, high)
    assert library.catalog.jobs.keys() == {"c", "c-more"}
    assert not said(library)


def test_drop_ins_merge_in_name_order_over_all_directories(tmp_path: Path) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    old(low / "a.yaml", job("a", "nice: 1", "timeout: 1m", "kill_after: 1s"))
    old(high / "a.yaml.d" / "10.yaml", "jobs: {a: {nice: 2, timeout: 2m}}\n")
    old(low / "a.yaml.d" / "20.yaml", "jobs: {a: {timeout: 3m}}\n")
    old(low / "a.yaml.d" / "30.yaml", "jobs: {a: {kill_after: 9s}}\n")
    (high / "a.yaml.d" / "30.yaml").symlink_to("/dev/null")
    old(high / "a.yaml.d" / "x.yaml~", "jobs: {a: {nice: 9}}\n")
    one = load(low, high).catalog.jobs["a"]
    assert (one.job.nice, one.job.timeout_seconds, one.job.kill_after_seconds) == (2, 180.0, 1.0)
    assert one.sources["timeout"] == f"{low}/a.yaml.d/20.yaml:1"
    assert one.sources["nice"] == f"{high}/a.yaml.d/10.yaml:1"
    assert one.sources["kill_after"] == f"{low}/a.yaml:6"


def test_what_is_not_read_because_of_its_name_can_be_told(tmp_path: Path) -> None:
    old(tmp_path / "my job.yaml", job("a"))
    old(tmp_path / "b.yaml.d" / "x.yaml", job("b"))
    old(tmp_path / "c.yaml~", job("c"))
    library = load(tmp_path)
    assert library.ignored() == [str(tmp_path / "my job.yaml")]
    assert library.orphans() == [str(tmp_path / "b.yaml.d")]


def hard_link(path: Path) -> None:
    os.link(path, path.with_name("elsewhere"))


def link(path: Path) -> None:
    target = path.with_name("target")
    path.rename(target)
    path.symlink_to(target)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("/no/such/file")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


UNSAFE = [
    (lambda path: path.chmod(0o666), "can be written by others, mode 0666 (chmod go-w)"),
    (lambda path: path.chmod(0o622), "can be written by others, mode 0622 (chmod go-w)"),
    (lambda path: path.chmod(0o664), "can be written by others, mode 0664 (chmod go-w)"),
    (hard_link, "has 2 hard links, so that it can be changed elsewhere (copy it)"),
    (link, "is a symbolic link (copy the file here; only a link to /dev/null means something: it masks)"),
    (dangling, "is a symbolic link"),
    (fifo, "is not a regular file"),
    (unix_socket, "is not a regular file"),
    (directory, "is not a regular file"),
    (lambda path: path.write_bytes(b"#" * 300_000), "is larger than 256 KiB; split it into several files"),
]


@AS_ROOT
@pytest.mark.parametrize(("spoil", "why"), UNSAFE, ids=[why[:24] for _, why in UNSAFE])
def test_an_unsafe_file_is_refused_and_its_last_good_jobs_stay(tmp_path: Path, spoil: object, why: str) -> None:
    clock, path = Clock(), old(tmp_path / "a.yaml", job("a"))
    library = clock.library(tmp_path)
    assert library.rescan().jobs.keys() == {"a"}
    spoil(path)  # type: ignore[operator]
    library.rescan()
    clock.now += 2
    assert library.rescan().jobs.keys() == {"a"}
    (problem,) = said(library)
    assert problem.startswith(f"{path}:1:1: {why}")
    assert load(tmp_path).catalog.jobs == {}


@AS_ROOT
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = old(tmp_path / "a.yaml", job("a"))
    os.chown(path, 12345, 0)
    assert said(load(tmp_path)) == [f"{path}:1:1: belongs to user 12345 (chown it to root or root)"]


@AS_ROOT
@pytest.mark.parametrize("which", ["itself", "above", "drop-ins"])
def test_a_directory_that_others_may_write_is_not_believed(tmp_path: Path, which: str) -> None:
    top = tmp_path / "top"
    old(top / "jobs.d" / "a.yaml", job("a"))
    old(top / "jobs.d" / "a.yaml.d" / "x.yaml", "jobs: {a: {nice: 1}}\n")
    spoiled = {"itself": top / "jobs.d", "above": top, "drop-ins": top / "jobs.d" / "a.yaml.d"}[which]
    spoiled.chmod(0o777)
    library = load(top / "jobs.d")
    assert library.catalog.jobs == {}
    assert f"{spoiled} can be written by others, mode 0777 (chmod go-w)" in said(library)[0]
    spoiled.chmod(0o1777)
    assert load(top / "jobs.d").catalog.jobs.keys() == {"a"}


def test_a_fifo_never_blocks_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml", 0o600)
    done = threading.Thread(target=load, args=(tmp_path,), daemon=True)
    done.start()
    done.join(5)
    assert not done.is_alive()


@AS_ROOT
def test_a_file_swapped_between_listing_and_opening_is_never_read(tmp_path: Path) -> None:
    """The safe file is listed; what is opened in its place is one that others may write."""
    path = old(tmp_path / "a.yaml", job("good"))
    listed = folder.shelf(str(tmp_path)).files["a.yaml"]
    evil = old(tmp_path / "evil", job("evil"))
    evil.chmod(0o666)
    for _ in range(300):
        os.rename(evil, path)
        with pytest.raises((folder.Changed, folder.Malformed)):
            folder.read(listed)
        os.rename(path, evil)
        path.symlink_to(evil)
        with pytest.raises(folder.Changed):
            folder.read(listed)
        path.unlink()


def test_the_descriptors_of_files_are_closed(tmp_path: Path) -> None:
    old(tmp_path / "a.yaml", job("a"))
    old(tmp_path / "b.yaml", "jobs: {\n")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        load(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_missing_directory_holds_nothing(tmp_path: Path) -> None:
    library = load(tmp_path / "none")
    assert library.catalog.jobs == {}
    assert not said(library)


def test_a_file_where_a_directory_should_be_is_named(tmp_path: Path) -> None:
    path = old(tmp_path / "jobs.d", "x")
    assert stat.S_ISREG(path.stat().st_mode)
    assert said(load(path)) == [f"{path}: cannot be read: Not a directory"]

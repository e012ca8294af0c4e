"""Captured output: what is kept, where the cut is, and reading it while it grows."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.work.output import Capture, OutputFiles, marker, path_of


def capture(directory: Path, most: int, run: int = 1) -> Capture:
    return Capture(path_of(str(directory), run, 1, "stdout"), most)


def everything(files: OutputFiles, *, limit: int = 1 << 20, start: int = 0, is_running: bool = False) -> bytes:
    data, offset = b"", start
    while True:
        piece, offset, ended = files.read(1, 1, "stdout", offset, limit, is_running=is_running)
        data += piece
        if ended or not piece:
            return data


@given(st.lists(st.binary(max_size=50), max_size=12), st.integers(2, 60), st.integers(1, 40))
def test_what_is_kept_is_the_head_and_the_tail(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], most: int, limit: int
) -> None:
    directory = tmp_path_factory.mktemp("out")
    kept, whole = capture(directory, most), b"".join(pieces)
    for piece in pieces:
        kept.write(piece)
    kept.close()
    head = most // 2
    if len(whole) <= most:
        expected = whole
    else:
        expected = whole[:head] + marker(len(whole) - most) + whole[len(whole) - (most - head) :]
    assert everything(OutputFiles(str(directory)), limit=limit) == expected
    assert (kept.written, kept.was_cut) == (len(whole), len(whole) > most)


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=12), st.integers(2, 40))
def test_a_reader_that_follows_sees_each_byte_at_most_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], most: int
) -> None:
    """Whoever reads after every write misses nothing, whatever the cap."""
    directory = tmp_path_factory.mktemp("out")
    kept, files, seen, offset = capture(directory, most), OutputFiles(str(directory)), b"", 0
    for piece in pieces:
        for at in range(0, len(piece), max(most // 2, 1)):
            kept.write(piece[at : at + max(most // 2, 1)])
            while True:
                data, offset, ended = files.read(1, 1, "stdout", offset, 7, is_running=True)
                assert not ended
                if not data:
                    break
                seen += data
    kept.close()
    rest = everything(files, start=offset)
    assert seen + rest == b"".join(pieces)


def test_a_slow_reader_is_told_of_the_gap(tmp_path: Path) -> None:
    kept, files = capture(tmp_path, 20), OutputFiles(str(tmp_path))
    for n in range(10):
        kept.write(b"%09d\n" % n)
    data, offset, _ = files.read(1, 1, "stdout", 10, 100, is_running=True)
    assert data.startswith(b"\n[jobd: ") and data.endswith(b" bytes cut]\n")
    assert files.read(1, 1, "stdout", offset, 10, is_running=True)[0] == b"%09d\n" % (offset // 10)


def test_nothing_is_created_before_something_is_written(tmp_path: Path) -> None:
    kept = capture(tmp_path, 100)
    kept.write(b"")
    kept.close()
    assert list(tmp_path.iterdir()) == []
    assert OutputFiles(str(tmp_path)).read(1, 1, "stdout", 0, 10) == (b"", 0, True)


def test_files_are_private_and_a_link_in_their_place_is_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", Path(path_of(str(tmp_path), 1, 1, "stdout"))
    victim.write_text("safe")
    path.parent.mkdir()
    path.symlink_to(victim)
    kept = capture(tmp_path, 100)
    kept.write(b"mine")
    kept.close()
    assert victim.read_text() == "safe"
    assert path.read_bytes() == b"mine"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_attempt_given_back_leaves_no_trace_in_the_next_of_its_name(tmp_path: Path) -> None:
    first = capture(tmp_path, 10)
    first.write(b"x" * 100)
    first.close()
    second = capture(tmp_path, 10)
    second.write(b"short")
    second.close()
    assert everything(OutputFiles(str(tmp_path))) == b"short"


def test_removing_takes_every_file(tmp_path: Path) -> None:
    kept = capture(tmp_path, 10)
    kept.write(b"x" * 100)
    files = OutputFiles(str(tmp_path))
    files.remove(1, 1)
    files.remove(1, 1)
    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []
    kept.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_takes_nothing_loses_output_and_no_more(tmp_path: Path) -> None:
    kept = capture(tmp_path, 100)
    kept.write(b"begin")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, kept._head_fd)
    kept.write(b"lost")
    kept.write(b"lost")
    kept.close()
    os.close(full)
    assert (kept.written, kept.was_cut) == (13, True)
    assert everything(OutputFiles(str(tmp_path))) == b"begin"

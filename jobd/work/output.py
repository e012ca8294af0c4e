"""What attempts write: kept as bytes in files with a cap, readable while it grows.

`DIR/SHARD/RUN.ATTEMPT.out` and `.err` hold the first half of the cap. What follows goes to two segments that take
turns (`.out.0`, `.out.1`), so that disk and memory stay bounded and the last half is always there; when the attempt
ends, head, marker and tail become one file, and `.out.cut` says where the marker stands.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from contextlib import suppress

from jobd.core.model import AttemptKey

SUFFIXES = {"stdout": "out", "stderr": "err"}
_HEADER = struct.Struct(">Q")
_NAME = re.compile(r"(\d{1,18})\.(\d{1,9})\.(?:out|err)(?:\.|$)", re.ASCII)
_PIECE = 128 * 1024
_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def shard(run: int) -> str:
    """The subdirectory a run's output is in."""
    return f"{run % 256:02x}"


def path_of(output_dir: str, run: int, attempt: int, stream: str) -> str:
    return f"{output_dir}/{shard(run)}/{run}.{attempt}.{SUFFIXES[stream]}"


class Capture:
    """One stream of one attempt. Nothing is created before something is written; a full disk loses output, never runs.

    `written` counts the bytes of the attempt, kept or not; `was_cut` says that not all of them are kept.
    """

    def __init__(self, path: str, max_bytes: int) -> None:
        self._path = path
        self._head_bytes = max(max_bytes // 2, 1)
        self._tail_bytes = max(max_bytes - self._head_bytes, 1)
        self._head_fd = -1
        self._segments: list[_Segment] = []
        self._is_broken = False
        self.written = 0

    @property
    def was_cut(self) -> bool:
        return self._is_broken or self.written > self._head_bytes + self._tail_bytes

    def write(self, data: bytes | memoryview) -> None:
        """Keep what the cap allows of `data`."""
        if self._is_broken or not data:
            self.written += len(data)
            return
        try:
            self._keep(memoryview(data))
        except OSError:
            # The disk is full or broken: the job must not suffer for it, and the cut is reported.
            self._is_broken = True
        self.written += len(data)

    def close(self) -> None:
        """Bring the kept parts together in one file."""
        try:
            if self._segments:
                self._join()
        except OSError:
            self._is_broken = True
        finally:
            for segment in self._segments:
                segment.remove()
            if self._head_fd >= 0:
                os.close(self._head_fd)
            self._segments, self._head_fd = [], -1

    def _keep(self, data: memoryview) -> None:
        if self._head_fd < 0:
            self._head_fd = _create(self._path)
        room = self._head_bytes - self.written
        if room > 0:
            _write_all(self._head_fd, data[:room])
            data = data[room:]
        at = max(self.written, self._head_bytes)
        while data:
            segment = self._segment(at)
            part = data[: self._tail_bytes - segment.length]
            segment.append(part)
            data, at = data[len(part) :], at + len(part)

    def _segment(self, at: int) -> _Segment:
        """The segment that takes the byte at offset `at`."""
        if not self._segments or self._segments[-1].length >= self._tail_bytes:
            turn = (self._segments[-1].turn + 1) % 2 if self._segments else 0
            if len(self._segments) == 2:
                self._segments.pop(0).remove()
            self._segments.append(_Segment(f"{self._path}.{turn}", turn, at))
        return self._segments[-1]

    def _join(self) -> None:
        first, last = self._segments[0], self._segments[-1]
        start = max(first.start, last.start + last.length - self._tail_bytes)
        if cut := start - self._head_bytes:
            # The note comes first: from now on a reader looks for the marker, and waits for what is not there yet.
            note = _create(f"{self._path}.cut")
            os.write(note, f"{self._head_bytes} {cut}\n".encode())
            os.close(note)
            _write_all(self._head_fd, memoryview(marker(cut)))
        for segment in self._segments:
            segment.copy_to(self._head_fd, start)


class _Segment:
    """A piece of the tail on disk: the offset of its first byte, then its bytes."""

    def __init__(self, path: str, turn: int, start: int) -> None:
        self.path, self.turn, self.start, self.length = path, turn, start, 0
        self._fd = _create(path, os.O_RDWR)
        os.write(self._fd, _HEADER.pack(start))

    def append(self, data: memoryview) -> None:
        _write_all(self._fd, data)
        self.length += len(data)

    def copy_to(self, fd: int, start: int) -> None:
        """Append what lies at offset `start` or behind it to `fd`."""
        at = max(start - self.start, 0)
        while at < self.length:
            piece = os.pread(self._fd, min(_PIECE, self.length - at), _HEADER.size + at)
            if not piece:
                return
            _write_all(fd, memoryview(piece))
            at += len(piece)

    def remove(self) -> None:
        os.close(self._fd)
        with suppress(OSError):
            os.unlink(self.path)


class OutputFiles:
    """Reads and removes the output of attempts; the one who knows whether an attempt still runs is the caller."""

    def __init__(self, output_dir: str) -> None:
        self._dir = output_dir

    def read(
        self, run: int, attempt: int, stream: str, offset: int, limit: int, *, is_running: bool = False
    ) -> tuple[bytes, int, bool]:
        """Bytes of `stdout` or `stderr` from `offset` of what the attempt wrote: (bytes, next offset, ended).

        `ended` says that nothing will follow. Where output was cut, a marker line stands for the missing part, and the
        next offset lies behind it. Raises KeyError for another stream.
        """
        path = path_of(self._dir, run, attempt, stream)
        note = _cut_note(path)
        if note is None:
            data, following = _read_growing(path, offset, limit)
        else:
            data, following = _read_joined(path, offset, limit, *note)
        return data, following, not data and not is_running

    def end_of(self, run: int, attempt: int, stream: str, most: int) -> tuple[bytes, bool]:
        """The last bytes of a stream that has ended, and whether that is all of it."""
        path = path_of(self._dir, run, attempt, stream)
        with suppress(OSError):
            size = os.stat(path, follow_symlinks=False).st_size
            return _pread(path, most, max(0, size - most)), size <= most
        return b"", True

    def remove(self, run: int, attempt: int) -> None:
        """Delete what was kept of an attempt; nothing there is fine."""
        for stream in SUFFIXES:
            path = path_of(self._dir, run, attempt, stream)
            for name in (path, f"{path}.cut", f"{path}.0", f"{path}.1"):
                with suppress(FileNotFoundError):
                    os.unlink(name)

    def shards(self) -> list[str]:
        """The directories that hold output."""
        try:
            return sorted(entry.name for entry in os.scandir(self._dir) if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def size_of(self, shard: str) -> int:
        """The bytes that one directory holds."""
        return sum(self._sizes(shard).values())

    def shrink(self, shard: str, most_bytes: int, is_running: Callable[[AttemptKey], bool]) -> int:
        """Delete the output of the oldest runs until a directory holds so many bytes at most; what was freed."""
        sizes = self._sizes(shard)
        excess, freed = sum(sizes.values()) - most_bytes, 0
        for key in sorted(sizes, key=lambda key: (key.run, key.attempt)):
            if freed >= excess:
                break
            if not is_running(key):
                self.remove(key.run, key.attempt)
                freed += sizes[key]
        return freed

    def _sizes(self, shard: str) -> dict[AttemptKey, int]:
        """The bytes kept of each attempt in a directory; what is no output of ours is passed over."""
        sizes: dict[AttemptKey, int] = {}
        with suppress(FileNotFoundError):
            for entry in os.scandir(os.path.join(self._dir, shard)):
                match = _NAME.match(entry.name)
                if match is not None:
                    with suppress(FileNotFoundError):
                        key = AttemptKey(int(match[1]), int(match[2]))
                        sizes[key] = sizes.get(key, 0) + entry.stat(follow_symlinks=False).st_size
        return sizes


def marker(cut: int) -> bytes:
    """The line that stands for `cut` bytes that were not kept."""
    return f"\n[jobd: {cut} bytes cut]\n".encode()


def _read_growing(path: str, offset: int, limit: int) -> tuple[bytes, int]:
    data = _pread(path, limit, offset)
    if data:
        return data, offset + len(data)
    behind = [(start, name) for name in (f"{path}.0", f"{path}.1") if (start := _start_of(name)) is not None]
    for start, name in sorted(behind):
        if start <= offset:
            if data := _pread(name, limit, _HEADER.size + offset - start):
                return data, offset + len(data)
        else:
            return marker(start - offset), start
    return b"", offset


def _read_joined(path: str, offset: int, limit: int, head: int, cut: int) -> tuple[bytes, int]:
    if offset < head:
        data = _pread(path, min(limit, head - offset), offset)
        return data, offset + len(data)
    line = marker(cut)
    if offset < head + cut:
        rest = head + cut - offset
        return marker(rest), head + cut
    data = _pread(path, limit, offset - cut + len(line))
    return data, offset + len(data)


def _cut_note(path: str) -> tuple[int, int] | None:
    text = _pread(f"{path}.cut", 64, 0).split()
    return (int(text[0]), int(text[1])) if len(text) == 2 else None


def _start_of(segment: str) -> int | None:
    header = _pread(segment, _HEADER.size, 0)
    return int(_HEADER.unpack(header)[0]) if len(header) == _HEADER.size else None


def _pread(path: str, limit: int, offset: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(fd, limit, offset)
    finally:
        os.close(fd)


def _create(path: str, mode: int = os.O_WRONLY) -> int:
    """A new file of our own; one that an attempt given back has left under the same name makes way."""
    for _ in range(2):
        try:
            return os.open(path, _NEW | mode, 0o600)
        except FileExistsError:
            for name in (path, f"{path}.cut"):
                with suppress(FileNotFoundError):
                    os.unlink(name)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    return os.open(path, _NEW | mode, 0o600)


def _write_all(fd: int, data: memoryview) -> None:
    while data:
        data = data[os.write(fd, data) :]

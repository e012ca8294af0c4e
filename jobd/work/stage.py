"""Where a Python callable stands while it runs inside the worker: its environment, directory and standard streams.

What it writes through sys.stdout and sys.stderr is kept at once. What C code or its own children write to descriptors
1 and 2 goes to nameless files and is kept when the call ends.
"""

from __future__ import annotations

import io
import os
import sys

from jobd.work.output import Capture

_PIECE = 128 * 1024


class Stage:
    """One for the life of a worker. `enter` and `leave` enclose each call."""

    def __init__(self) -> None:
        self._below: list[int] = []
        self._env: dict[str, str] = {}
        self._raw: dict[bytes, bytes] = {}
        self._streams: tuple[_Text, _Text] | None = None

    def enter(self, env: dict[str, str], cwd: str, umask: int, captures: tuple[Capture, Capture]) -> None:
        """Raises OSError where the directory cannot be entered."""
        if not self._below:
            self._below = [_nameless(1), _nameless(2)]
        os.chdir(cwd)
        os.umask(umask)
        self._set_env(env)
        self._streams = (_Text(captures[0]), _Text(captures[1]))
        sys.stdout, sys.stderr = self._streams

    def leave(self, captures: tuple[Capture, Capture]) -> None:
        """Keep what went to the descriptors, and take the streams away."""
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        self._streams = None
        for fd, capture in zip(self._below, captures, strict=True):
            _take_over(fd, capture)

    def _set_env(self, env: dict[str, str]) -> None:
        """Change what differs from the last call; everything, where a job has changed its environment itself."""
        if _raw_environment() != self._raw:
            os.environ.clear()
            self._env = {}
        for name in self._env.keys() - env.keys():
            del os.environ[name]
        for name, value in env.items() - self._env.items():
            os.environ[name] = value
        self._env, self._raw = env, dict(_raw_environment())


class _Bytes(io.RawIOBase):
    """The binary end of a captured stream."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        self._capture.write(bytes(data))
        return len(data)


class _Text(io.TextIOBase):
    """A captured stream as sys.stdout: nothing is held back, so a killed worker loses nothing."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, capture: Capture) -> None:
        self.buffer = _Bytes(capture)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.buffer.write(text.encode("utf-8", "backslashreplace"))
        return len(text)


def _raw_environment() -> dict[bytes, bytes]:
    """What os.environ holds, as it holds it: comparing the mapping itself would decode every entry at every call."""
    raw: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    return raw


def _nameless(fd: int) -> int:
    """Point a standard descriptor at a memory file, and return another descriptor of that file."""
    own = os.memfd_create(f"fd{fd}", os.MFD_CLOEXEC)
    again = os.open(f"/proc/self/fd/{own}", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    os.dup2(again, fd)
    os.close(again)
    return own


def _take_over(fd: int, capture: Capture) -> None:
    size = os.fstat(fd).st_size
    if not size:
        return
    for at in range(0, size, _PIECE):
        capture.write(os.pread(fd, min(_PIECE, size - at), at))
    os.ftruncate(fd, 0)

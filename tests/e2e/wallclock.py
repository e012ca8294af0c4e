"""A wall clock that a test can set under a living daemon, by a small library of our own (wallclock.c)."""

from __future__ import annotations

import functools
import mmap
import os
import shutil
import struct
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("wallclock.c")
_MICROSECOND = timedelta(microseconds=1)


@functools.cache
def library() -> Path:
    """The library, built once for all tests; the test is skipped where nothing can build it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler: the wall clock is shifted by a small library of our own")
    built = Path(_directory().name) / "wallclock.so"
    subprocess.run([compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", built, SOURCE, "-ldl"], check=True)
    return built


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="jobd-clock-")


class WallClock:
    """The wall clock of the processes that are started with `environment`."""

    def __init__(self, directory: Path) -> None:
        path = directory / "wallclock"
        path.write_bytes(bytes(16))
        os.mkfifo(f"{path}.set")
        self.environment = {"LD_PRELOAD": str(library()), "JOBD_TEST_CLOCK": str(path)}
        self._told = os.open(f"{path}.set", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        with path.open("r+b") as file:
            self._shifts = mmap.mmap(file.fileno(), 16)
        self.shift = timedelta(0)
        self._slept = timedelta(0)

    def now(self) -> datetime:
        """What the daemon takes the time to be."""
        return datetime.now(UTC) + self.shift

    def step(self, by: timedelta) -> None:
        """Set the wall clock, as NTP or an operator does."""
        self.shift += by
        self._tell()

    def sleep(self, span: timedelta) -> None:
        """Let the host have slept: time has gone by, and every timer stood still."""
        self._slept += span
        self.step(span)

    def set_to(self, at: datetime) -> None:
        self.step(at - self.now())

    def _tell(self) -> None:
        self._shifts[:] = struct.pack("=qq", *(span // _MICROSECOND * 1000 for span in (self.shift, self._slept)))
        os.write(self._told, b"set")

    def close(self) -> None:
        self._shifts.close()
        os.close(self._told)


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

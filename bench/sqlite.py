"""What SQLite itself does on this disk: durable rows, and whole lives of runs, on one connection at FULL."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import apsw

_PAYLOAD = "x" * 200
_SCHEMA = """
CREATE TABLE job (id INTEGER PRIMARY KEY, queue TEXT, priority INTEGER, run_at INTEGER, state INTEGER, payload TEXT);
CREATE INDEX job_ready ON job (queue, priority DESC, id) WHERE state = 0;
CREATE TABLE history (id INTEGER PRIMARY KEY, job INTEGER, started_at INTEGER, finished_at INTEGER, outcome TEXT);
"""
_ADD = "INSERT INTO job (queue, priority, run_at, state, payload) VALUES ('default', 0, ?, 0, ?)"
_RESERVE = """
UPDATE job SET state = 1 WHERE id IN
  (SELECT id FROM job WHERE state = 0 AND queue = 'default' ORDER BY priority DESC, id LIMIT ?) RETURNING id
"""


class Raw:
    """A database with a table of waiting jobs, written without anything around it."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        assert self._connection.pragma("journal_mode", "wal") == "wal"
        self._connection.pragma("synchronous", "full")
        assert self._connection.pragma("synchronous") == 2
        self._connection.execute(_SCHEMA)
        self._counter = itertools.count(1)

    def rows(self, seconds: float, per_commit: int) -> float:
        """Durable rows per second, so many in a commit."""
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_ADD, [(next(self._counter), _PAYLOAD) for _ in range(per_commit)])
            self._connection.execute("COMMIT")
            count += per_commit
        return count / (time.perf_counter() - began)

    def lives(self, seconds: float, per_commit: int) -> float:
        """Whole lives per second: added, reserved, finished and put into history, so many in a commit."""
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            now = next(self._counter)
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_ADD, [(now, _PAYLOAD)] * per_commit)
            taken = self._connection.execute(_RESERVE, (per_commit,)).fetchall()
            self._connection.executemany("UPDATE job SET state = 2 WHERE id = ?", taken)
            self._connection.executemany(
                "INSERT INTO history (job, started_at, finished_at, outcome) VALUES (?, ?, ?, 'succeeded')",
                [(job, now, now) for (job,) in taken],
            )
            self._connection.execute("COMMIT")
            count += per_commit
        return count / (time.perf_counter() - began)

    def close(self) -> None:
        self._connection.close()


class Disk:
    """Appends 4 KiB and makes them durable, the least a commit can cost."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def sync(self) -> float:
        """How many seconds one append took."""
        began = time.perf_counter()
        os.write(self._fd, b"x" * 4096)
        os.fdatasync(self._fd)
        return time.perf_counter() - began

    def close(self) -> None:
        os.close(self._fd)

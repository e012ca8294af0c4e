"""The database file: how it is opened, checked and written. One writer in the process; no handle crosses a fork."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import apsw

from jobd.core.errors import JobdError, Unavailable
from jobd.core.sources import Counting, Ids
from jobd.core.spans import micros
from jobd.store.queries import statements

APPLICATION_ID = 0x6A6F6264
BUSY_MILLISECONDS = 5000
_OLDEST = (3, 51, 3)
_STATEMENTS_KEPT = 512
"""Prepared statements that apsw keeps: its cache goes by uses, and a tick uses a few of them hundreds of times.

With the usual hundred, those that each tick needs once would be prepared anew every time: ten times the work.
"""
_BACKPORTS = {(3, 44): 6, (3, 50): 7}


_generation = 0


def _count_fork() -> None:
    global _generation  # noqa: PLW0603 - a fact about the process
    _generation += 1


# Asking for the process id at every statement costs more than many a statement.
os.register_at_fork(after_in_child=_count_fork)


class StoreError(JobdError):
    """The database file cannot be used; the message says why and what to do."""


class StorageFailed(Unavailable):
    """A transaction could not be made durable: disk full, read-only or broken. Nothing of it is in force."""


def is_sound(version: tuple[int, ...]) -> bool:
    """Whether a SQLite is free of the bug that resets a WAL and loses commits (fixed in 3.51.3, 3.50.7, 3.44.6)."""
    patch = _BACKPORTS.get((version[0], version[1]))
    return version >= _OLDEST or (patch is not None and version[2] >= patch)


def linked_version() -> tuple[int, ...]:
    """The version of the SQLite that this process runs."""
    return tuple(int(part) for part in apsw.sqlite_lib_version().split("."))


class Connection:
    """A SQLite connection that refuses to be used after a fork and runs named statements."""

    def __init__(self, path: str, *, readonly: bool = False, synchronous: str = "full") -> None:
        if not is_sound(linked_version()):
            raise StoreError(
                f"SQLite {apsw.sqlite_lib_version()} can lose commits; jobd needs 3.51.3 or later (pip install -U apsw)"
            )
        flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self._generation = _generation
        self._sql = statements()
        try:
            self.raw = apsw.Connection(path, flags=flags, statementcachesize=_STATEMENTS_KEPT)
            self._prepare(readonly, synchronous)
        except apsw.Error as error:
            raise StoreError(f"{path}: cannot be used as a database: {error}") from error

    def _prepare(self, readonly: bool, synchronous: str) -> None:
        self.raw.set_busy_timeout(BUSY_MILLISECONDS)
        # Else SQLite prepares statements anew whenever other values are bound, which takes longer than most of them.
        self.raw.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        self._pragma("cache_size", -8192)
        self._pragma("foreign_keys", 1)
        self._pragma("temp_store", 2)
        if readonly:
            self._pragma("query_only", 1)
            return
        self._assert("journal_mode", "wal", self._pragma("journal_mode", "WAL"))
        self._pragma("synchronous", synchronous.upper())
        self._assert("synchronous", {"full": 2, "normal": 1}[synchronous], self._pragma("synchronous"))
        # A checkpoint inside a commit can fail after the commit is durable, and then looks like a failed commit.
        self._assert("wal_autocheckpoint", 0, self._pragma("wal_autocheckpoint", 0))

    def _pragma(self, name: str, value: Any = None) -> Any:
        return self.raw.pragma(name, value) if value is not None else self.raw.pragma(name)

    @staticmethod
    def _assert(name: str, wanted: Any, got: Any) -> None:
        if got != wanted:
            raise StoreError(f"SQLite did not take {name}={wanted} (it is {got}); is this a local file system?")

    def run(self, name: str, bindings: Any = ()) -> apsw.Cursor:
        """Execute a named statement."""
        if self._generation != _generation:
            raise StoreError("a database handle was used after a fork")
        return self.raw.execute(self._sql[name], bindings)

    def many(self, name: str, rows: Iterable[Any]) -> None:
        """Execute a named statement once for every row of bindings."""
        if self._generation != _generation:
            raise StoreError("a database handle was used after a fork")
        self.raw.executemany(self._sql[name], rows)

    def close(self) -> None:
        self.raw.close()


class Transaction:
    """One write transaction: everything in it happens at one `now`, all of it or nothing."""

    def __init__(self, connection: Connection, now: datetime, ids: Ids) -> None:
        self._connection = connection
        self.now = now
        self.ids = ids
        self.at = micros(now)
        self.known: dict[str, Any] = {}
        """What stages have read and may read again; whatever changes it takes it out."""

    def run(self, name: str, bindings: Any = ()) -> apsw.Cursor:
        return self._connection.run(name, bindings)

    def many(self, name: str, rows: Iterable[Any]) -> None:
        self._connection.many(name, rows)

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part that leaves nothing behind when the block raises; the rest of the transaction stands."""
        with self._connection.raw:
            yield

    def rows(self, name: str, bindings: Any = ()) -> list[tuple[Any, ...]]:
        """Every row of a named statement, which is run to its end."""
        return self._connection.run(name, bindings).fetchall()

    def row(self, name: str, bindings: Any = ()) -> tuple[Any, ...] | None:
        """The first row of a named statement, or None; the statement is run to its end."""
        rows = self._connection.run(name, bindings).fetchall()
        return rows[0] if rows else None

    def changed(self) -> int:
        """How many rows the last statement changed: none is an answer, not an error."""
        return self._connection.raw.changes()


class Writer:
    """The one connection that writes."""

    def __init__(self, connection: Connection, ids: Ids | None = None) -> None:
        self._connection = connection
        self._ids = ids or Counting()

    @contextmanager
    def transaction(self, now: datetime) -> Iterator[Transaction]:
        """A transaction that is durable when the block is left, and never was when it raises.

        Raises StorageFailed where SQLite cannot write; whether the commit itself happened is then not known, and the
        statements that expect a state make trying again harmless.
        """
        raw = self._connection.raw
        try:
            raw.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._connection, now, self._ids)
                raw.execute("COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise
        except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.BusyError, apsw.CantOpenError) as error:
            raise StorageFailed(f"the store cannot be written: {error}") from error

    def total_changes(self) -> int:
        return self._connection.raw.total_changes()

    def release_memory(self) -> None:
        """Give back what is kept only to be quick: the pages that were looked at last."""
        self._connection.raw.pragma("shrink_memory")

    def checkpoint(self, *, truncate: bool) -> tuple[int, int]:
        """Move pages from the WAL into the database file; (frames in the WAL, frames moved).

        Truncating waits for readers of this moment and gives the space back; otherwise nothing waits.
        """
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_PASSIVE
        try:
            return self._connection.raw.wal_checkpoint(mode=mode)
        except (apsw.BusyError, apsw.LockedError):
            return (-1, -1)
        except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError) as error:
            raise StorageFailed(f"the store cannot be checkpointed: {error}") from error

    def close(self) -> None:
        self._connection.close()

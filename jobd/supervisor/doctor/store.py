"""The database file, looked at without touching it: its version, its size, whether it is sound and its trail whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

from jobd.core.audit import first_broken
from jobd.core.spans import show_size
from jobd.store import backup
from jobd.store.connection import StoreError
from jobd.store.history import History
from jobd.supervisor.doctor.finding import Finding, bad, ok, unknown, warning
from jobd.supervisor.settings import Settings

_LARGE = 8 * 1000**3
"""What the alert rules call a large store."""
_LONG_LOG = 256 * 1024 * 1024
_AT_ONCE = 2000


def size(settings: Settings) -> Iterator[Finding]:
    """How large the database and its log are."""
    try:
        database = os.stat(settings.database).st_size
    except FileNotFoundError:
        yield ok("store", f"{settings.database} is not there yet: jobd makes it when it starts")
        return
    except OSError as error:
        yield unknown("store", f"{settings.database}: {error.strerror}", "look as root")
        return
    log = _size(settings.database + "-wal")
    told = f"{settings.database} has {show_size(database)}, its log {show_size(log)}"
    if log > _LONG_LOG:
        yield warning("store", told, "look for a program that keeps the database open: fuser -v " + settings.database)
    elif database + log > _LARGE:
        yield warning("store", told, "shorten retention in jobd.yaml, then jobd-ctl prune")
    else:
        yield ok("store", told)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def contents(settings: Settings) -> Iterator[Finding]:
    """What stands in a database that no jobd works on: whether this jobd can use it, and whether it is sound."""
    if not os.access(settings.database, os.R_OK):
        return
    try:
        version = backup.look(settings.database)
        yield ok("store", f"the database is sound, its schema is {version}")
        yield trail(settings)
    except StoreError as error:
        yield bad("store", str(error), "jobd-ctl restore FILE puts a backup in its place")


def trail(settings: Settings) -> Finding:
    """Whether the audit trail in the file is whole, as `jobd-ctl audit --verify` asks a running jobd."""
    with closing(History(settings.database)) as history:
        previous, last, count = history.audit_anchor(), 0, 0
        while found := history.audit_after(last, _AT_ONCE):
            gap = last and found[0].id != last + 1
            broken = found[0].id if gap else first_broken(previous, found)
            if broken is not None:
                return of_trail(count, broken)
            previous, last, count = found[-1].digest, found[-1].id, count + len(found)
    return of_trail(count, None)


def of_trail(entries: int, broken_at: int | None) -> Finding:
    """What a chain of so many sound entries means."""
    if broken_at is None:
        return ok("audit", f"the trail is whole: {entries} entries")
    step = "somebody wrote to the database past jobd: compare it with a backup, and see who is root here"
    return bad("audit", f"the trail was altered at entry {broken_at}, after {entries} sound ones", step)

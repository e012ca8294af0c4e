"""Puts a backup in the place of the database, while jobd is stopped."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime

from jobd.store import backup
from jobd.supervisor import lock
from jobd.supervisor.directories import prepare
from jobd.supervisor.settings import Settings


def restore(settings: Settings, source: str) -> str | None:
    """Let `source` be the database from the next start on; where what was there before stands now, None for nothing.

    Raises JobdError where jobd runs, or where the backup is not sound: then everything stays as it is.
    """
    prepare(settings)
    held = lock.hold(settings.state_dir)
    try:
        new = f"{settings.database}.new"
        _write(source, new)
        backup.check(new)
        before = _put_aside(settings.database)
        os.rename(new, settings.database)
        _sync(os.path.dirname(settings.database))
        return before
    finally:
        os.close(held)


def _write(source: str, target: str) -> None:
    """Copy through to the disk, for root and jobd alone to read."""
    if os.path.lexists(target):
        os.unlink(target)  # of a restore that was interrupted
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(source, "rb") as given, open(os.open(target, flags, 0o600), "wb") as made:
        shutil.copyfileobj(given, made, 1024 * 1024)
        made.flush()
        os.fsync(made.fileno())


def _put_aside(database: str) -> str | None:
    """Move the database away, with what belongs to it: a log left beside another file would be played into that."""
    if not os.path.lexists(database):
        return None
    before = f"{database}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for suffix in ("-wal", "-shm", ""):
        if os.path.lexists(database + suffix):
            os.rename(database + suffix, before + suffix)
    return before


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

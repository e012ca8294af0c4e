"""Copies of the database: made of a committed state while jobd works, and looked at before anything relies on them."""

from __future__ import annotations

import os

import apsw

from jobd.store.connection import APPLICATION_ID, StorageFailed, StoreError, is_sound, linked_version
from jobd.store.schema import migrations


def copy(source: str, target: str) -> None:
    """Write a committed state of the database as a plain new file, and look at it. Takes its time: not for the loop.

    The source is opened as any reader of SQLite does. Raises StorageFailed, and leaves nothing behind then.
    """
    try:
        connection = apsw.Connection(source, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.execute("VACUUM INTO ?", (target,))
        finally:
            connection.close()
        check(target)
    except (apsw.Error, StoreError) as error:
        if os.path.lexists(target):
            os.unlink(target)
        raise StorageFailed(f"no backup could be made: {error}") from error


def check(path: str) -> int:
    """The schema version of a database of jobd that is sound. Raises StoreError for anything else.

    It is read as a file that nobody writes to, so that looking leaves nothing beside it.
    """
    return _looked_at(path, "immutable=1")


def look(path: str) -> int:
    """As `check`, of a database that jobd works on or has left: what its log holds counts too."""
    return _looked_at(path, "mode=ro")


def _looked_at(path: str, how: str) -> int:
    if not is_sound(linked_version()):
        raise StoreError(f"SQLite {apsw.sqlite_lib_version()} can lose commits; jobd needs 3.51.3 or later")
    try:
        connection = apsw.Connection(
            f"file:{_quoted(path)}?{how}", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
        try:
            return _checked(connection, path)
        finally:
            connection.close()
    except apsw.Error as error:
        raise StoreError(f"{path}: cannot be read as a database: {error}") from error


def _checked(connection: apsw.Connection, path: str) -> int:
    if connection.pragma("application_id") != APPLICATION_ID:
        raise StoreError(f"{path}: is no database of jobd")
    version, known = int(connection.pragma("user_version")), len(migrations())
    if version > known:
        raise StoreError(f"{path}: was written by a newer jobd (schema {version}, this one knows {known})")
    faults = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if faults != ["ok"]:
        raise StoreError(f"{path}: is damaged: {faults[0]}")
    if connection.execute("PRAGMA foreign_key_check").fetchall():
        raise StoreError(f"{path}: is damaged: rows refer to others that are not there")
    return version


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(os.path.abspath(path))

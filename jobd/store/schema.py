"""The version of the database file: forward-only numbered migrations, each one transaction, after a backup."""

from __future__ import annotations

import os
from importlib.resources import files

import apsw

from jobd.store.connection import APPLICATION_ID, Connection, StoreError


def migrations() -> list[str]:
    """The scripts in order; the first brings an empty file to version 1."""
    folder = files("jobd.store").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [folder.joinpath(name).read_text(encoding="utf-8") for name in names]


def migrate(connection: Connection, path: str) -> None:
    """Bring the file to the version this jobd knows.

    Raises StoreError for a file of another program or of a newer jobd; such a file is not touched.
    """
    scripts = migrations()
    version = connection.raw.pragma("user_version")
    identity = connection.raw.pragma("application_id")
    if identity not in (0, APPLICATION_ID) or (identity == 0 and _has_tables(connection)):
        raise StoreError(f"{path}: is a database of another program; name another state_dir")
    if version > len(scripts):
        raise StoreError(
            f"{path}: was written by a newer jobd (schema {version}, this one knows {len(scripts)}); "
            f"install that jobd again, or restore a backup made before the upgrade"
        )
    if 0 < version < len(scripts):
        _back_up(connection, f"{path}.before-{version + 1}")
    for number, script in enumerate(scripts[version:], start=version + 1):
        _step(connection, number, script)
    if version == 0:
        _sync_directory(os.path.dirname(path))
    _forget_statistics(connection)


def _has_tables(connection: Connection) -> bool:
    return bool(connection.raw.execute("SELECT count(*) FROM sqlite_schema").fetchall()[0][0])


def _forget_statistics(connection: Connection) -> None:
    """Without statistics the hot statements go along their indexes.

    With those that somebody's ANALYZE took of a quiet queue, SQLite reads the whole backlog to reserve one run.
    """
    connection.raw.execute("DROP TABLE IF EXISTS sqlite_stat1; DROP TABLE IF EXISTS sqlite_stat4")
    connection.raw.pragma("writable_schema", "RESET")  # reads the schema anew, and no statistics with it


def _back_up(connection: Connection, target: str) -> None:
    if os.path.lexists(target):
        os.unlink(target)  # left by a migration that was interrupted
    connection.raw.execute("VACUUM INTO ?", (target,))


def _step(connection: Connection, number: int, script: str) -> None:
    connection.raw.execute("BEGIN IMMEDIATE")
    try:
        connection.raw.execute(script).fetchall()
        connection.raw.pragma("application_id", APPLICATION_ID)
        connection.raw.pragma("user_version", number)
        connection.raw.execute("COMMIT")
    except apsw.Error as error:
        if connection.raw.in_transaction:
            connection.raw.execute("ROLLBACK")
        raise StoreError(f"the database could not be brought to schema {number}: {error}") from error


def _sync_directory(path: str) -> None:
    """A new file survives a power cut only when its directory entry does."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

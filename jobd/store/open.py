"""Opens a database for a supervisor: the writer first, brought to today's schema, then the reader beside it."""

from __future__ import annotations

from jobd.core.sources import Ids
from jobd.store.connection import Connection, Writer
from jobd.store.history import History
from jobd.store.schema import migrate


def open_store(path: str, *, synchronous: str = "full", ids: Ids | None = None) -> tuple[Writer, History]:
    """The writer and the questions of one database file, which is made where there is none; `ids` number its runs.

    Raises StoreError where the file or the SQLite cannot be used.
    """
    connection = Connection(path, synchronous=synchronous)
    try:
        migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return Writer(connection, ids), History(path)

"""MySQL and MariaDB, through MySQL's own connector: statements are prepared, so the server binds.

Needs the extra `jobd[mysql]`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import mysql.connector
from mysql.connector import errors

from jobd.work.databases import Answer, Query, Refusal, only_reads

_CONNECT_SECONDS = 10
_ROWS_AT_ONCE = 1000
_TIMED_OUT = frozenset({1969, 3024, 2013})
"""max_statement_time of MariaDB, max_execution_time of MySQL, and the end of what is waited for an answer."""


def ask(url: str, password: str | None, query: Query) -> Answer:
    """Carry out a statement. Raises Refusal."""
    parts = urlsplit(url)
    given = password if password is not None else unquote(parts.password or "")
    try:
        connection: Any = mysql.connector.connect(
            host=parts.hostname or "localhost",
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=given,
            database=parts.path.lstrip("/") or None,
            autocommit=True,
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=max(1, round(query.seconds)),
            use_pure=True,
        )
    except mysql.connector.Error as error:
        raise Refusal(str(error), retryable=error.errno not in (1044, 1045, 1049)) from None
    try:
        cursor = connection.cursor(prepared=True)
        cursor.execute(query.statement, query.params or ())
        columns = tuple(cursor.column_names)
        # Rows come as they are fetched: of what reads, the rest is never sent.
        rows = cursor.fetchmany(query.most_rows + 1) if columns else []
        while columns and not only_reads(query.statement) and cursor.fetchmany(_ROWS_AT_ONCE):
            pass  # to the last one: a change whose rows are not waited for may be taken back
        return Answer(columns, rows, 0 if columns else max(cursor.rowcount, 0))
    except mysql.connector.Error as error:
        if error.errno in _TIMED_OUT:
            raise Refusal(f"it took longer than {query.seconds:g} s", retryable=True) from None
        raise Refusal(str(error), retryable=isinstance(error, errors.OperationalError)) from None
    finally:
        connection.disconnect()

"""PostgreSQL, through psycopg, which binds on the server. Needs the extra `jobd[postgresql]`.

What reads is asked for by a cursor of the server, which works out no more rows than are wanted.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import errors

from jobd.work.databases import Answer, Query, Refusal, only_reads

_CONNECT_SECONDS = 10.0
_CANCELLED = "57014"
_NO_CURSOR = (errors.FeatureNotSupported, errors.InvalidCursorDefinition, errors.SyntaxError)
"""How the server says that a statement reads, but is none that a cursor can be had for."""


def ask(url: str, password: str | None, query: Query) -> Answer:
    """Carry out a statement. Raises Refusal."""
    more: dict[str, Any] = {} if password is None else {"password": password}
    try:
        with psycopg.connect(
            url,
            autocommit=True,
            application_name="jobd",
            connect_timeout=max(2, round(min(query.seconds, _CONNECT_SECONDS))),
            options=f"-c statement_timeout={max(1, round(query.seconds * 1000))}",
            **more,
        ) as connection:
            if only_reads(query.statement) and (answer := _read(connection, query)) is not None:
                return answer
            return _carried_out(connection, query)
    except psycopg.Error as error:
        if error.sqlstate == _CANCELLED:
            raise Refusal(f"it took longer than {query.seconds:g} s", retryable=True) from None
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Refusal(first, retryable=isinstance(error, psycopg.OperationalError)) from None


def _read(connection: Any, query: Query) -> Answer | None:
    """The first rows; None where no cursor can be had, and nothing was done."""
    try:
        with connection.transaction(), connection.cursor(name="jobd") as cursor:
            cursor.execute(query.statement, query.params)
            rows = cursor.fetchmany(query.most_rows + 1)
            return Answer(tuple(one.name for one in cursor.description or ()), rows, 0)
    except _NO_CURSOR:
        return None


def _carried_out(connection: Any, query: Query) -> Answer:
    """What writes is done in full, and the rows that it gives back (RETURNING) come as a whole."""
    cursor = connection.execute(query.statement, query.params)
    columns = tuple(one.name for one in cursor.description or ())
    rows = cursor.fetchmany(query.most_rows + 1) if columns else []
    return Answer(columns, rows, 0 if columns else max(cursor.rowcount, 0))

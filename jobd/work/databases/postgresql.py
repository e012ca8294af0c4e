"""PostgreSQL, through psycopg, which binds on the server. Needs the extra `jobd[postgresql]`."""

from __future__ import annotations

from typing import Any

import psycopg

from jobd.work.databases import Answer, Query, Refusal

_CONNECT_SECONDS = 10.0
_CANCELLED = "57014"


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
            cursor = connection.execute(query.statement, query.params)
            columns = tuple(one.name for one in cursor.description or ())
            rows = cursor.fetchmany(query.most_rows + 1) if columns else []
            return Answer(columns, rows, 0 if columns else max(cursor.rowcount, 0))
    except psycopg.Error as error:
        if error.sqlstate == _CANCELLED:
            raise Refusal(f"it took longer than {query.seconds:g} s", retryable=True) from None
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Refusal(first, retryable=isinstance(error, psycopg.OperationalError)) from None

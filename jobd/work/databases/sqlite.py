"""SQLite files, through the SQLite that jobd brings along. A connection lives for one statement."""

from __future__ import annotations

import time
from typing import Any

import apsw

from jobd.work.databases import Answer, Query, Refusal

_STEPS_BETWEEN_LOOKS = 10_000
_PASSING = (apsw.BusyError, apsw.LockedError, apsw.IOError, apsw.FullError, apsw.CantOpenError, apsw.NoMemError)
_LOCKS_SECONDS = 10.0
_BETWEEN = "; \t\r\n"


def ask(path: str, query: Query) -> Answer:
    """Carry out a statement on the file at `path`, which must be there. Raises Refusal."""
    ends_at = time.monotonic() + query.seconds
    try:
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
    except apsw.CantOpenError:
        raise Refusal(f"{path} is not there, or may not be opened", retryable=False) from None
    try:
        connection.set_busy_timeout(round(1000 * min(query.seconds, _LOCKS_SECONDS)))
        connection.set_progress_handler(lambda: time.monotonic() > ends_at, _STEPS_BETWEEN_LOOKS)
        return _answer(connection, query)
    except apsw.ExecTraceAbort:
        raise Refusal(
            "it is more than one statement, and nothing was done (use a job for each)", retryable=False
        ) from None
    except apsw.InterruptError:
        raise Refusal(f"it took longer than {query.seconds:g} s", retryable=True) from None
    except apsw.Error as error:
        raise Refusal(str(error), retryable=isinstance(error, _PASSING)) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise Refusal(f"its params cannot be bound: {error}", retryable=False) from None
    finally:
        connection.close(True)


def _answer(connection: Any, query: Query) -> Answer:
    before = connection.total_changes()
    cursor = connection.cursor()
    cursor.exec_trace = lambda _cursor, one, _bindings: _is_all(one, query.statement)
    cursor.execute(query.statement, query.params)
    try:
        columns = tuple(one[0] for one in cursor.description)
    except apsw.ExecutionCompleteError:
        columns = ()
    rows = [row for _, row in zip(range(query.most_rows + 1), cursor, strict=False)]
    cursor.close(True)
    return Answer(columns, rows, connection.total_changes() - before)


def _is_all(one: str, text: str) -> bool:
    """Whether the statement that is about to begin is all there is: half of a text is not carried out."""
    return text.strip(_BETWEEN) == one.strip(_BETWEEN)

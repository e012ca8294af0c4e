"""SQL statements: SQLite files, and PostgreSQL and MySQL by URL. Values are bound, and never put into the text."""

from __future__ import annotations

import base64
import importlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from jobd.core import options, places
from jobd.core.executors import Executor, Failed, Fault, Misread, Work
from jobd.core.model import Action, Call, Json
from jobd.core.shown import shown
from jobd.work.databases import Answer, Query, Refusal

_DRIVERS = {"postgresql": "psycopg", "mysql": "mysql.connector"}
_SCHEMES = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
_ROWS = 1000
_SECONDS = 30.0
_MOST_RESULT_BYTES = 256 * 1024
_MOST_PASSWORD_BYTES = 4096


def _database(value: Json) -> str:
    given = options.text(value).removeprefix("sqlite://")
    if "${payload" in given:
        raise ValueError("takes its database from the payload (name it here)")
    if given.startswith("/") and "\0" not in given:
        return given
    parts = urlsplit(given)
    if parts.scheme in _SCHEMES and parts.hostname:
        return given
    raise ValueError(f"{shown(given)} is no database (write /path/to/file.db, postgresql://…, or mysql://…)")


def _statement(value: Json) -> str:
    given = options.text(value)
    if not given.strip():
        raise ValueError("is empty (give a statement)")
    if places.has_places(given):
        raise ValueError("holds ${payload…}, and values are bound (put it in params)")
    return given


def _params(value: Json) -> Json:
    if not isinstance(value, list | dict):
        raise ValueError(f"{shown(value)} is neither a list nor a mapping")
    return value


class SqlExecutor(Executor):
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "description": "An SQL statement; its rows are the result.",
        "properties": {
            "database": {"type": "string", "description": "/path/to/file.db, postgresql://…, or mysql://…"},
            "statement": {"type": "string", "description": "One statement; ? or :name (SQLite), %s or %(name)s."},
            "params": {"type": ["array", "object"], "description": "Values to bind; ${payload.key} is replaced."},
            "password_file": {"type": "string", "description": "Holds the password; read for every attempt."},
            "row_limit": {"type": "integer", "minimum": 1, "maximum": 100_000, "description": "1000 by default."},
            "timeout": {"type": ["string", "number"], "description": "For the statement; 30s by default."},
        },
        "required": ["database", "statement"],
        "additionalProperties": False,
    }

    def read(self, value: Json) -> Json:
        readers = {
            "database": _database,
            "statement": _statement,
            "params": _params,
            "password_file": options.path,
            "row_limit": options.whole(1, 100_000),
            "timeout": options.duration,
        }
        return options.read(value, readers, required=("database", "statement"))

    def faults(self, action: Action, payload: Json) -> Sequence[Fault]:
        assert isinstance(action, Call)
        params = action.options.get("params")
        if lacking := places.lacking(params, payload):
            return lacking
        filled = places.filled_value(params, payload)
        nested = [one for one in _values(filled) if isinstance(one, list | dict)]
        return [([], f"gives {shown(nested[0])} for a value, and only single values can be bound")] if nested else ()

    def prepare(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        importlib.import_module("jobd.work.databases.sqlite")
        return settings

    def run(self, work: Work) -> Json:
        given = work.options
        try:
            params = places.filled_value(given.get("params"), work.payload)
        except Misread as misread:
            raise Failed(f"the payload {misread}", retryable=False) from None
        query = Query(given["statement"], params, given.get("row_limit", _ROWS), given.get("timeout", _SECONDS))
        try:
            answer = _asked(given["database"], given.get("password_file"), query)
        except Refusal as refusal:
            raise Failed(f"the statement failed: {refusal}", retryable=refusal.retryable) from None
        return _result(answer, query.most_rows)


executor = SqlExecutor()


def _values(params: Json) -> list[Json]:
    return list(params.values() if isinstance(params, dict) else params or ())


def _asked(database: str, password_file: str | None, query: Query) -> Answer:
    if database.startswith("/"):
        from jobd.work.databases import sqlite

        return sqlite.ask(database, query)
    kind = _SCHEMES[urlsplit(database).scheme]
    try:
        module: Any = importlib.import_module(f"jobd.work.databases.{kind}")
    except ImportError as error:
        if not (error.name or "").startswith(_DRIVERS[kind].partition(".")[0]):
            raise
        raise Refusal(f"jobd cannot speak to {kind} here: pip install 'jobd[{kind}]'", retryable=False) from None
    answer: Answer = module.ask(database, _password(password_file), query)
    return answer


def _password(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(_MOST_PASSWORD_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"password_file {path} cannot be read: {error}", retryable=False) from None


def _result(answer: Answer, most: int) -> dict[str, Json]:
    """Columns and rows within bounds, or the number of rows that were changed; each row is a line of output too."""
    if not answer.columns:
        return {"changed": answer.changed}
    kept: list[Json] = []
    size = 0
    for row in answer.rows[:most]:
        plain = [_plain(value) for value in row]
        line = json.dumps(plain, ensure_ascii=False)
        sys.stdout.write(line + "\n")
        size += len(line.encode(errors="replace"))
        if size <= _MOST_RESULT_BYTES:
            kept.append(plain)
    result: dict[str, Json] = {"columns": list(answer.columns), "rows": kept}
    return result | {"cut": True} if len(answer.rows) > len(kept) else result


def _plain(value: Any) -> Json:
    """A value as JSON has it: numbers and texts as they are, bytes in base64, times in ISO 8601, others as text."""
    match value:
        case None | bool() | int() | str():
            plain: Json = value
        case float() if math.isfinite(value):
            plain = value
        case bytes() | bytearray() | memoryview():
            plain = base64.b64encode(bytes(value)).decode()
        case datetime() | date() | time():
            plain = value.isoformat()
        case timedelta():
            plain = value.total_seconds()
        case list() | tuple():
            plain = [_plain(one) for one in value]
        case dict():
            plain = {str(key): _plain(one) for key, one in value.items()}
        case _:
            plain = str(value)
    return plain

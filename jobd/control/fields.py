"""Reads the fields of a submission one by one: a value ready for use, or a ValueError that says what is allowed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from jobd.control.bodies import Hazard, check_text, check_value
from jobd.core.model import Dependency
from jobd.core.names import closest, is_name, is_reserved
from jobd.core.spans import seconds, show_size
from jobd.core.states import Condition
from jobd.core.trace import read_parent, read_state

PRIORITIES = {"low": -10, "medium": 0, "high": 10}
MOST_ATTEMPTS = 1000
_LONGEST_KEY = 255
_MOST_FIELDS = 100
_MOST_DEPENDENCIES = 1000
_MOST_USES = 16
_LONGEST_ARGV_BYTES = 128 * 1024
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def instant(text: Any) -> datetime:
    """An RFC 3339 instant with its zone, from 2000 to 2199. Raises ValueError with a hint."""
    if type(text) is not str or not _INSTANT.fullmatch(text):
        raise ValueError("must be an instant with a time zone like 2026-12-24T18:00:00Z (RFC 3339)")
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise ValueError(f"is no instant: {error}") from None
    if not 2000 <= at.year < 2200 or not _EARLIEST <= at < _LATEST:
        raise ValueError("must lie between the years 2000 and 2199")
    return at.astimezone(UTC)


def _queue(value: Any) -> str:
    if type(value) is str and is_reserved(value):
        raise ValueError(f"{value} is kept for jobd's own notifications; name another queue")
    return _name(value)


def _name(value: Any) -> str:
    if type(value) is not str or not is_name(value):
        raise ValueError("must be a name: 1 to 128 of letters, digits, '.', '_', '-', starting with a letter or digit")
    return value


def _key(value: Any) -> str:
    if type(value) is not str or not 0 < len(value) <= _LONGEST_KEY:
        raise ValueError(f"must be a text of 1 to {_LONGEST_KEY} characters")
    check_text(value)
    return value


def _payload(value: Any) -> Any:
    check_value(value)
    return value


def _priority(value: Any) -> int:
    if type(value) is int and -100 <= value <= 100:
        return value
    if type(value) is str and value in PRIORITIES:
        return PRIORITIES[value]
    raise ValueError("must be low, medium, high or a whole number from -100 to 100")


def _attempts(value: Any) -> int:
    if type(value) is int and 1 <= value <= MOST_ATTEMPTS:
        return value
    raise ValueError(f"must be a whole number from 1 to {MOST_ATTEMPTS}")


def _span(value: Any) -> float:
    if type(value) not in (int, float, str) or (type(value) is str and len(value) > 64):
        raise ValueError("must be a duration like 90, 30s or 5m")
    return seconds(value)


def _lifetime(value: Any) -> float:
    span = _span(value)
    if span < 1.0:
        raise ValueError("must be at least 1s (leave it out for never)")
    return span


def _command(value: Any) -> tuple[str, ...]:
    argv = _split(value) if type(value) is str else value
    if type(argv) is not list or not argv or not all(type(word) is str for word in argv):
        raise ValueError('must be an argument vector like ["pg_dump", "shop"], or its words in one text')
    for number, word in enumerate(argv):
        try:
            check_text(word)
        except Hazard as hazard:
            hazard.path.append(number)
            raise
    if not argv[0]:
        raise ValueError("names no program: the first word is empty")
    if sum(len(word.encode()) + 1 for word in argv) > _LONGEST_ARGV_BYTES:
        raise ValueError(f"is longer than {show_size(_LONGEST_ARGV_BYTES)}; pass a file or a payload instead")
    return tuple(argv)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"cannot be split into words: {error}") from None


def _dependencies(value: Any) -> tuple[Dependency, ...]:
    if type(value) is not list or len(value) > _MOST_DEPENDENCIES:
        raise ValueError(f'must be a list like [{{"run": 42, "on": "success"}}], of {_MOST_DEPENDENCIES} at most')
    found = tuple(_dependency(item) for item in value)
    if len({one.run for one in found}) < len(found):
        raise ValueError("names a run twice")
    return found


def _dependency(item: Any) -> Dependency:
    if type(item) is not dict or not {"run"} <= item.keys() <= {"run", "on"}:
        raise ValueError('must hold objects like {"run": 42, "on": "success"}')
    run, on = item["run"], item.get("on", "success")
    if type(run) is not int or not 0 < run < 2**63:
        raise ValueError("run must be the id of a run")
    if type(on) is not str or on not in frozenset(Condition):
        raise ValueError(f"on must be one of {', '.join(Condition)}")
    return Dependency(run, Condition(on))


def _traceparent(value: Any) -> str:
    return read_parent(value if type(value) is str else "")


def _tracestate(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("must be a text like vendor=value,other=value")
    return read_state(value)


_UNIQUE = frozenset({"key", "period", "states", "on_conflict"})


def _unique(value: Any) -> dict[str, Any]:
    """What a submission says of its uniqueness, as changes to what its job says."""
    if type(value) is not dict or not value.keys() <= _UNIQUE:
        raise ValueError('must be an object like {"key": ["customer"], "period": "1h"} (also: states, on_conflict)')
    changes: dict[str, Any] = {}
    if "key" in value:
        changes |= _unique_key(value["key"])
    if "period" in value:
        changes["period_seconds"] = None if value["period"] is None else _lifetime(value["period"])
    for word, allowed in (("states", ("active", "all")), ("on_conflict", ("keep", "replace", "error"))):
        if word in value:
            if value[word] not in allowed:
                raise ValueError(f"{word} must be one of {', '.join(allowed)}")
            changes[word] = value[word]
    return changes


def _unique_key(value: Any) -> dict[str, Any]:
    if value is True:
        return {"fields": None, "text": None}
    if type(value) is str:
        return {"fields": None, "text": _key(value)}
    if type(value) is not list or len(value) > _MOST_FIELDS or not all(type(one) is str for one in value):
        raise ValueError("key must be true (the whole payload), a list of fields of the payload, or a text")
    for one in value:
        check_text(one)
    return {"fields": tuple(sorted(set(value))), "text": None}


def _uses(value: Any) -> tuple[tuple[str, int], ...]:
    if type(value) is not dict or len(value) > _MOST_USES:
        raise ValueError(f'must be an object like {{"gpu": 1}}, of {_MOST_USES} names at most')
    for resource, amount in value.items():
        if not is_name(resource):
            raise ValueError(f"{resource[:40]!r} is not a name (letters, digits, '.', '_', '-')")
        if type(amount) is not int or not 1 <= amount <= 1_000_000:
            raise ValueError(f"{resource} must be a whole number from 1 on")
    return tuple(sorted(value.items()))


READERS: dict[str, Callable[[Any], Any]] = {
    "job": _name,
    "command": _command,
    "payload": _payload,
    "queue": _queue,
    "priority": _priority,
    "run_at": instant,
    "delay": _span,
    "key": _key,
    "unique": _unique,
    "max_attempts": _attempts,
    "timeout": _span,
    "expires": _lifetime,
    "uses": _uses,
    "depends_on": _dependencies,
    "traceparent": _traceparent,
    "tracestate": _tracestate,
}


def unknown(key: str) -> str:
    """What is said of a field that is not one."""
    near = closest(key, READERS)
    return f'is not known (did you mean "{near}"?)' if near else f"is not known (known: {', '.join(READERS)})"

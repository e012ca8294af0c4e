"""The grammar of one cron field, and the values it names.

croniter's field parser reads the fields, after a grammar of our own has refused what it would read in surprising ways.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    """Names of the values, from `low` on."""


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    _Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_DAY_OF_WEEK = 4

_ITEM = re.compile(r"(?P<low>\*|\d+|[a-z]+)(?:-(?P<high>\d+|[a-z]+))?(?:/(?P<step>\d+))?", re.ASCII)
_NOT_YET = (
    (re.compile(r"h(\(.*\))?(/.*)?"), "H (a hash of the job's name)"),
    (re.compile(r"lw?|[a-z0-9]+l"), "L (the last day)"),
    (re.compile(r".+#.*"), "# (the n-th weekday of a month)"),
)
_NEVER = (
    (re.compile(r"r(\(.*\))?(/.*)?"), "R (a random time) is not taken: a schedule must say when"),
    (re.compile(r".*\?.*"), "? is not taken: write *"),
    (re.compile(r"\d+w|w\d+"), "W (the nearest weekday) is not taken"),
)


@lru_cache(maxsize=4096)
def mask(index: int, text: str) -> int:
    """The values of field `index` (0 is the minute, 4 the day of week) as bits; Sunday is 0 alone.

    `text` is in lower case. Raises ValueError with the reason for what no field may say.
    """
    # Fields repeat far more often than expressions, so they are what is kept.
    field = _FIELDS[index]
    items = [_checked(item, field) for item in text.split(",")]
    values = _expand(index, ",".join(items))
    bits = 0
    for value in values:
        bits |= (2 << field.high) - (1 << field.low) if value == "*" else 1 << int(value)
    return bits & 127 if index == _DAY_OF_WEEK else bits


def _expand(index: int, text: str) -> list[int | str]:
    """What croniter reads in one field: numbers, or a star."""
    from croniter import croniter

    fields = ["*"] * 5
    fields[index] = text
    try:
        expanded, _ = croniter.expand(" ".join(fields))
    except ValueError as error:
        raise ValueError(f'"{text}" is not a {_FIELDS[index].name}: {error}') from error
    return list(expanded[index])


def _checked(item: str, field: _Field) -> str:
    """One item of a field's list, as croniter is to read it. Raises ValueError for what it would read surprisingly."""
    _refuse_words(item, field)
    match = _ITEM.fullmatch(item)
    if not match or (match["low"] == "*" and match["high"]):
        raise ValueError(f'"{item}" is not a {field.name} (try *, 5, 1-5, */10 or a list of them)')
    _check_step(item, match["step"], field)
    if match["low"] == "*":
        return item
    low = _value(match["low"], field)
    if match["high"] is None:
        return _from_one(item, low, match["step"], field)
    return _range(item, low, _value(match["high"], field), match["step"], field)


def _refuse_words(item: str, field: _Field) -> None:
    if item in field.names:
        return
    for pattern, what in _NOT_YET:
        if pattern.fullmatch(item):
            raise ValueError(f'"{item}" in the {field.name}: {what} is not supported by this version yet')
    for pattern, why in _NEVER:
        if pattern.fullmatch(item):
            raise ValueError(f'"{item}" in the {field.name}: {why}')


def _value(text: str, field: _Field) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if not text.isdecimal():
        known = f"{field.names[0]} to {field.names[-1]}" if field.names else f"{field.low} to {field.high}"
        raise ValueError(f'"{text}" is not a {field.name} ({known})')
    if len(text) > 3 or not field.low <= int(text) <= field.high:
        raise ValueError(f'"{text}" is out of range for the {field.name} ({field.low} to {field.high})')
    return int(text)


def _check_step(item: str, step: str | None, field: _Field) -> None:
    size = 7 if field is _FIELDS[_DAY_OF_WEEK] else field.high - field.low + 1
    if step is not None and (len(step) > 3 or not 1 <= int(step) <= size):
        raise ValueError(f'the step of "{item}" is out of range for the {field.name} (1 to {size})')


def _from_one(item: str, low: int, step: str | None, field: _Field) -> str:
    """A single value, or `5/15`: from 5 on, every 15th."""
    if step is None:
        return str(low)
    if field is _FIELDS[_DAY_OF_WEEK]:
        raise ValueError(f'"{item}" in the day of week needs the range it steps through (try {low}-6/{step})')
    return f"{low}/{step}"


def _range(item: str, low: int, high: int, step: str | None, field: _Field) -> str:
    if low == high:
        raise ValueError(f'"{item}" in the {field.name} is a range of one value (write {low})')
    if low > high:
        hint = f"try {low}-7" if field is _FIELDS[_DAY_OF_WEEK] and high == 0 else "from the lower to the higher"
        raise ValueError(f'"{item}" in the {field.name} is a reversed range ({hint})')
    if field is _FIELDS[_DAY_OF_WEEK] and high == 7:
        # croniter makes 7 a 0 before it steps, and so would step through a range that was never written.
        return ",".join(str(value) for value in range(low, high + 1, int(step or 1)))
    return f"{low}-{high}" + (f"/{step}" if step else "")

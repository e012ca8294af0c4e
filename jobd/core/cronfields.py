"""The grammar of one cron field, and the values it names.

croniter's field parser reads the plain items, after a grammar of our own has refused what it would read in surprising
ways. Items that stand for days of a certain month (`L`, `LW`, `FRIL`, `1#2`) are read here alone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    """Names of the values, from `low` on."""


FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
SECOND, MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK = range(6)

LAST_DAY = 32
"""The bit of a day of month that stands for the last one."""
LAST_WORKDAY = 33
"""The bit of a day of month that stands for the last one from Monday to Friday."""
LAST_WEEK = 6
"""Bit 7 * n + d of the days of week is the n-th weekday d of a month; n is 0 for each of them, this for the last."""

_ITEM = re.compile(r"(?P<low>\*|\d+|[a-z]+)(?:-(?P<high>\d+|[a-z]+))?(?:/(?P<step>\d+))?", re.ASCII)
_LAST = re.compile(r"(?P<day>[0-9]+|[a-z]{3})l", re.ASCII)
_NTH = re.compile(r"(?P<day>[0-9]+|[a-z]+)#(?P<nth>[0-9]+)", re.ASCII)
_NEVER = (
    (
        re.compile(r"r(\(.*\))?(/.*)?"),
        "R (a random time) is not taken: a schedule must say when",
    ),
    (re.compile(r".*\?.*"), "? is not taken: write *"),
    (re.compile(r"\d+w|w\d+"), "W (the nearest weekday) is not taken"),
    (re.compile(r"h(\(.*\))?(/.*)?"), "H is written H, H/15, H(9-17) or H(0-29)/10"),
    (re.compile(r"l|lw"), "L and LW (the last day) go into the day of month; of the week it is 5L or FRIL"),
    (re.compile(r"l[-/].*|.*-l|\w+l"), "L is written L or LW in the day of month, 5L or FRIL in the day of week"),
    (re.compile(r".*#.*"), "# is written 1#2 (the second Monday; 1 to 5), in the day of week"),
)


@lru_cache(maxsize=4096)
def mask(index: int, text: str) -> int:
    """The values of field `index` (as in `FIELDS`) as bits; Sunday is 0 alone, days of a certain month as above.

    `text` is in lower case. Raises ValueError with the reason for what no field may say.
    """
    # Fields repeat far more often than expressions, so they are what is kept.
    bits, plain = 0, []
    for item in text.split(","):
        special = _of_a_month(index, item)
        if special is None:
            plain.append(_checked(item, FIELDS[index]))
        else:
            bits |= 1 << special
    return bits | _plain(index, ",".join(plain)) if plain else bits


def value(text: str, field: Field) -> int:
    """The number or name of one value. Raises ValueError if the field has no such value."""
    if text in field.names:
        return field.names.index(text) + field.low
    if not text.isdecimal():
        known = f"{field.names[0]} to {field.names[-1]}" if field.names else f"{field.low} to {field.high}"
        raise ValueError(f'"{text}" is not a {field.name} ({known})')
    if len(text) > 3 or not field.low <= int(text) <= field.high:
        raise ValueError(f'"{text}" is out of range for the {field.name} ({field.low} to {field.high})')
    return int(text)


def check_step(item: str, step: str | None, field: Field) -> None:
    """Raises ValueError for a step of 0 and for one that is longer than the field."""
    size = 7 if field is FIELDS[DAY_OF_WEEK] else field.high - field.low + 1
    if step is not None and (len(step) > 3 or not 1 <= int(step) <= size):
        raise ValueError(f'the step of "{item}" is out of range for the {field.name} (1 to {size})')


def check_range(item: str, low: int, high: int, field: Field) -> None:
    """Raises ValueError for a range that is reversed or has one value."""
    if low == high:
        raise ValueError(f'"{item}" in the {field.name} is a range of one value (write {low})')
    if low > high:
        hint = f"try {low}-7" if field is FIELDS[DAY_OF_WEEK] and high == 0 else "from the lower to the higher"
        raise ValueError(f'"{item}" in the {field.name} is a reversed range ({hint})')


def _of_a_month(index: int, item: str) -> int | None:
    """The bit of an item that means another day in every month; None for one that does not."""
    if index == DAY_OF_MONTH:
        return {"l": LAST_DAY, "lw": LAST_WORKDAY}.get(item)
    if index != DAY_OF_WEEK:
        return None
    field = FIELDS[DAY_OF_WEEK]
    if last := _LAST.fullmatch(item):
        return 7 * LAST_WEEK + value(last["day"], field) % 7
    if nth := _NTH.fullmatch(item):
        if nth["nth"] not in ("1", "2", "3", "4", "5"):
            raise ValueError(f'"{item}" in the day of week: a month has no such week (1 to 5, or {nth["day"]}L)')
        return 7 * int(nth["nth"]) + value(nth["day"], field) % 7
    return None


def _plain(index: int, text: str) -> int:
    field, bits = FIELDS[index], 0
    for number in _expand(index, text):
        bits |= (2 << field.high) - (1 << field.low) if number == "*" else 1 << int(number)
    return bits & 127 if index == DAY_OF_WEEK else bits


def _expand(index: int, text: str) -> list[int | str]:
    """What croniter reads in one field: numbers, or a star."""
    from croniter import croniter

    # Seconds are read like minutes, so that five fields do.
    fields = ["*"] * 5
    fields[max(index - 1, 0)] = text
    try:
        expanded, _ = croniter.expand(" ".join(fields))
    except ValueError as error:
        raise ValueError(f'"{text}" is not a {FIELDS[index].name}: {error}') from error
    return list(expanded[max(index - 1, 0)])


def _checked(item: str, field: Field) -> str:
    """One item of a field's list, as croniter is to read it. Raises ValueError for what it would read surprisingly."""
    try:
        return _rewritten(item, field)
    except ValueError:
        for pattern, why in _NEVER:
            if pattern.fullmatch(item):
                raise ValueError(f'"{item}" in the {field.name}: {why}') from None
        raise


def _rewritten(item: str, field: Field) -> str:
    match = _ITEM.fullmatch(item)
    if not match or (match["low"] == "*" and match["high"]):
        raise ValueError(f'"{item}" is not a {field.name} (try *, 5, 1-5, */10 or a list of them)')
    check_step(item, match["step"], field)
    if match["low"] == "*":
        return item
    low = value(match["low"], field)
    if match["high"] is None:
        return _from_one(item, low, match["step"], field)
    return _range(item, low, value(match["high"], field), match["step"], field)


def _from_one(item: str, low: int, step: str | None, field: Field) -> str:
    """A single value, or `5/15`: from 5 on, every 15th."""
    if step is None:
        return str(low)
    if field is FIELDS[DAY_OF_WEEK]:
        raise ValueError(f'"{item}" in the day of week needs the range it steps through (try {low}-6/{step})')
    return f"{low}/{step}"


def _range(item: str, low: int, high: int, step: str | None, field: Field) -> str:
    check_range(item, low, high, field)
    if field is FIELDS[DAY_OF_WEEK] and high == 7:
        # croniter makes 7 a 0 before it steps, and so would step through a range that was never written.
        return ",".join(str(day) for day in range(low, high + 1, int(step or 1)))
    return f"{low}-{high}" + (f"/{step}" if step else "")

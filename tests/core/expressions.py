"""Cron expressions drawn at random, most of them due around the hours in which clocks are moved."""

from __future__ import annotations

from random import Random

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_NIGHT = ("0", "1", "2", "3", "4", "23", "0-4", "1,2", "1-3", "2,3", "0-23", "*/2", "*/3", "1/2", "*")


def five(draw: Random, *, special: bool = False, hashed: bool = False) -> str:
    """Five fields; `special` adds days of a certain month, `hashed` adds H."""
    night = draw.random() < 0.6
    hour = draw.choice(_NIGHT) if night else _field(draw, 0, 23)
    minute = draw.choice(("0", "30", "0,30", "*/15", "*/20", "59")) if draw.random() < 0.4 else _field(draw, 0, 59)
    day = "*" if draw.random() < 0.6 else _field(draw, 1, 31)
    month = "*" if draw.random() < 0.7 else _field(draw, 1, 12, _MONTHS)
    weekday = "*" if draw.random() < 0.6 else _weekday(draw)
    if special and draw.random() < 0.5:
        day = _with(draw, draw.choice(("L", "LW", "l", "lw", "L,LW")), day)
    elif special:
        mark = draw.choice(("L", f"#{draw.randrange(1, 6)}"))
        weekday = _with(draw, draw.choice((*map(str, range(8)), *_DAYS)) + mark, weekday)
    if hashed:
        minute = draw.choice(("H", "H/15", "H/7", "H(0-29)", "H(5-50)/10", "H,30", minute))
        hour = draw.choice(("H", "H(0-4)", "H/2", "H(1-3)", hour))
        day = draw.choice(("*", "*", "H", "H/5", day))
        weekday = draw.choice(("*", "*", "H", "H(mon-fri)", weekday))
    return " ".join((minute, hour, day, month, weekday))


def six(draw: Random) -> str:
    """Six fields, a few seconds of a minute at the most."""
    second = draw.choice(("0", "30", str(draw.randrange(60)), "0,30", "*/20", "58-59", "15/25", "H", "H/30"))
    return f"{second} {five(draw)}"


def _with(draw: Random, item: str, other: str) -> str:
    return f"{item},{other}" if other != "*" and draw.random() < 0.3 else item


def _weekday(draw: Random) -> str:
    text = _field(draw, 0, 7, _DAYS)
    # A step wants its range in the day of week, and names end at Saturday.
    return text if "/" not in text or "-" in text or text[0] == "*" else draw.choice(_DAYS)


def _field(draw: Random, low: int, high: int, names: list[str] | None = None) -> str:
    kind = draw.random()
    if kind < 0.1:
        return "*"
    if kind < 0.25:
        return f"*/{draw.randrange(1, min(high - low + 1, 8 if high == 7 else 31))}"
    if kind < 0.6:
        return _item(draw, low, high, names)
    return ",".join(_item(draw, low, high, names) for _ in range(draw.randrange(2, 5)))


def _item(draw: Random, low: int, high: int, names: list[str] | None) -> str:
    kind, start = draw.random(), draw.randrange(low, high + 1)
    if kind < 0.55 or start == high:
        return _value(draw, start, low, names)
    if kind < 0.65 and high != 7:
        return f"{start}/{draw.randrange(1, high - low + 2)}"
    end = draw.randrange(start + 1, high + 1)
    span = f"{_value(draw, start, low, names)}-{_value(draw, end, low, names)}"
    return span if kind < 0.8 else f"{span}/{draw.randrange(1, min(high - low + 1, 7) + 1)}"


def _value(draw: Random, number: int, low: int, names: list[str] | None) -> str:
    if names is None or number - low >= len(names) or draw.random() < 0.5:
        return str(number)
    name = names[number - low]
    return draw.choice((name, name.upper(), name.capitalize()))

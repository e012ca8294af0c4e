"""Durations, sizes and instants as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", re.ASCII)
_DURATION = re.compile(rf"\s*(?:{_PART.pattern}\s*)+", re.ASCII)
_NUMBER = re.compile(r"\s*\d+(?:\.\d+)?\s*", re.ASCII)
_LONGEST_SECONDS = 100 * 365 * 86400.0

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?)?B?\s*", re.ASCII)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def seconds(text: str | float) -> float:
    """The seconds of `90`, `90s`, `15m`, `1h 30m`, `2d`.

    Raises ValueError with a hint for anything else, negative numbers and more than 100 years included.
    """
    if isinstance(text, bool):
        raise ValueError(f"{text!r} is not a duration (try 30s or 5m)")
    total: float
    if isinstance(text, int | float):
        total = text  # compared before it is a float: an integer may be too large for one
    elif _NUMBER.fullmatch(text):
        total = float(text)
    elif _DURATION.fullmatch(text):
        total = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    else:
        raise ValueError(f'"{text}" is not a duration (try 30s or 5m)')
    if not 0 <= total <= _LONGEST_SECONDS:
        raise ValueError(f"{text} is out of range for a duration (0 to 100 years)")
    return float(total)


def show_seconds(total: float) -> str:
    """A duration as `seconds` reads it, two units at the most: `1h 30m`, `45s`, `0.5s`."""
    if total < 60:
        return f"{total:.3g}s"
    rest, parts = round(total), []
    for unit in ("w", "d", "h", "m", "s"):
        count, rest = divmod(rest, int(_UNITS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def size(text: str | int) -> int:
    """The bytes of `4096`, `512KiB`, `1GiB`, `512M` (K, M, G, T are powers of 1024 with or without the i).

    Raises ValueError with a hint for anything else.
    """
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f'"{text}" is not a size (try 512KiB or 1GiB)')
    number, unit = match.groups()
    total = float(number) * 1024 ** (_POWERS[unit[0]] if unit else 0)
    if total >= 2**63:
        raise ValueError(f'"{text}" is too large for a size')
    return int(total)


def show_size(total: int) -> str:
    """A size in the largest unit that keeps it at or above one: `512KiB`, `1.5GiB`, `42B`."""
    amount = float(total)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.4g}{unit}"
        amount /= 1024
    return f"{amount:.4g}TiB"


def micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware instant: how the store keeps time."""
    return (at - EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """The UTC instant of so many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=value)


def micros_if(at: datetime | None) -> int | None:
    """`micros` of an instant where there is one."""
    return None if at is None else micros(at)


def from_micros_if(value: int | None) -> datetime | None:
    """`from_micros` of a number where there is one."""
    return None if value is None else from_micros(value)


def rfc3339(at: datetime) -> str:
    """An instant as every answer of jobd writes it: UTC, `Z`, microseconds only where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")

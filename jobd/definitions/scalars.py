"""What a plain YAML scalar means by the 1.2 core schema; anything two readers could take differently is refused."""

from __future__ import annotations

import math
import re

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+", re.ASCII)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+", re.ASCII)
_PREFIXED = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBER_START = frozenset("+-.0123456789")
_MOST_DIGITS = 25
"""More than any 64-bit integer has, so that int() never sees a text it takes long for."""


class Octal(int):
    """An integer that was written as `0o…`: file modes accept it, where a decimal would be a trap."""


Scalar = None | bool | int | float | str


def resolve(text: str) -> Scalar:
    """The value of a plain (unquoted) scalar.

    Raises ValueError with a reason for numbers that are not finite, do not fit 64 bits, or have a leading zero.
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in _NUMBER_START:
        return text
    return _number(text)


def _number(text: str) -> Scalar:
    if _LEADING_ZERO.fullmatch(text):
        digits = text.lstrip("+-").lstrip("0") or "0"
        raise ValueError(f'{_short(text)} is ambiguous (write 0o{digits} for octal, {digits}, or "{_short(text)}")')
    if _DECIMAL.fullmatch(text):
        return _int64(text, 10)
    if _PREFIXED.fullmatch(text):
        return Octal(_int64(text[2:], 8)) if text[1] == "o" else _int64(text[2:], 16)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number (put it in quotes if it is text)")
    if _FLOAT.fullmatch(text):
        return _finite(text)
    return text


def _int64(digits: str, radix: int) -> int:
    if len(digits) <= _MOST_DIGITS:
        value = int(digits, radix)
        if -(2**63) <= value < 2**63:
            return value
    raise ValueError(f"the number {_short(digits)} does not fit 64 bits (put it in quotes if it is text)")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {_short(text)} is too large (put it in quotes if it is text)")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:20]}…"

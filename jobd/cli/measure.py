"""How much room text takes on a terminal, and how it is laid into lines that fit. Text has to be safe already."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_GAP = re.compile(r"^ +(?=\S)| {2,}(?=\S)")
_INDENT = 2


def columns_of(text: str) -> int:
    """How many columns a terminal gives to `text`: wide characters take two, marks and joiners none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """`text` in at most so many columns; `…` stands for what is left out."""
    if columns_of(text) <= width:
        return text
    return (_head(text, width - 1) + "…") if width > 0 else ""


def _head(text: str, width: int) -> str:
    """As much of the beginning as fits into so many columns."""
    taken = 0
    for at, char in enumerate(text):
        taken += _columns_of(char)
        if taken > width:
            return text[:at]
    return text


def pieces(text: str, width: int) -> Iterator[str]:
    """`text` in lines of at most so many columns, broken wherever they are full."""
    while columns_of(text) > width:
        head = _head(text, width) or text[0]
        yield head
        text = text[len(head) :]
    yield text


def flowed(text: str, width: int | None) -> Iterator[str]:
    """The lines of `text`, those that are too long broken at spaces.

    What follows stands below what came after the last gap of two spaces at the line's beginning, so that `key  value`
    keeps its shape. A word that is longer than a line is broken where that is full. No `width` leaves all as it is.
    """
    for line in text.split("\n"):
        if width is None or columns_of(line) <= width:
            yield line
        else:
            yield from _broken(line, width)


def _broken(line: str, width: int) -> Iterator[str]:
    lead = _lead(line, width // 2)
    indent = " " * (columns_of(lead) or _INDENT)
    current, is_fresh = lead, True
    for word in line[len(lead) :].split(" "):
        if not is_fresh and columns_of(current) + 1 + columns_of(word) > width:
            yield current.rstrip()
            current, is_fresh = indent, True
        current, is_fresh = current + word if is_fresh else f"{current} {word}", False
        while columns_of(current) > width:
            head = _head(current, width)
            yield head
            current = indent + current[len(head) :]
    yield current.rstrip()


def _lead(line: str, most: int) -> str:
    """The blanks, or the columns with gaps of two spaces behind them, that a line begins with."""
    lead = ""
    for gap in _GAP.finditer(line):
        if gap.end() > most:
            break
        lead = line[: gap.end()]
    return lead

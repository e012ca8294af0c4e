"""Rows in aligned columns: cut to the terminal's width where a column allows it, never cut when piped."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from jobd.cli.terminal import Screen, Tone, safe_line

_GAP = "  "
_LEAST = 8


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, and how its cells are set. Ids and names are never `elastic`."""

    title: str
    is_right: bool = False
    is_elastic: bool = False
    """May be cut, with `…`, when the terminal is too narrow."""


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    tone: Tone = Tone.PLAIN


Row = Sequence[Cell | str]


def filled(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[list[Column], list[list[Cell | str]]]:
    """The columns with a word in some row, and the rows without the others, which would only fill a narrow screen."""
    kept = [at for at in range(len(columns)) if any(_cell(row[at]).text for row in rows)]
    return [columns[at] for at in kept], [[row[at] for at in kept] for row in rows]


def lines(columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]], screen: Screen) -> list[str]:
    """The table as lines without newlines. Text of cells may be hostile: it is escaped here."""
    cells = [[_cell(item) for item in row] for row in rows]
    widths = [
        max(_columns_of(column.title), *(_columns_of(row[at].text) for row in cells), 0)
        for at, column in enumerate(columns)
    ]
    widths = _fitted(columns, widths, screen.width)
    heading = [Cell(column.title, Tone.DIM) for column in columns]
    return [_line(columns, row, widths, screen) for row in [heading, *cells]]


def _cell(item: Cell | str) -> Cell:
    return Cell(safe_line(item)) if isinstance(item, str) else Cell(safe_line(item.text), item.tone)


def _fitted(columns: Sequence[Column], widths: list[int], limit: int | None) -> list[int]:
    """Take what is too much from the widest elastic column, again and again, down to a least width."""
    fitted = list(widths)
    elastic = [at for at, column in enumerate(columns) if column.is_elastic]
    while limit is not None and sum(fitted) + len(_GAP) * (len(fitted) - 1) > limit:
        widest = max(elastic, key=lambda at: fitted[at], default=None)
        if widest is None or fitted[widest] <= _LEAST:
            break
        fitted[widest] -= 1
    return fitted


def _line(columns: Sequence[Column], row: Sequence[Cell], widths: list[int], screen: Screen) -> str:
    parts = []
    for column, cell, width in zip(columns, row, widths, strict=True):
        text = _cut(cell.text, width)
        padding = " " * (width - _columns_of(text))
        painted = screen.paint(text, cell.tone)
        parts.append(padding + painted if column.is_right else painted + padding)
    return _GAP.join(parts).rstrip()


def _cut(text: str, width: int) -> str:
    if _columns_of(text) <= width:
        return text
    kept = ""
    for char in text:
        if _columns_of(kept + char) >= width:
            break
        kept += char
    return kept + "…"


def _columns_of(text: str) -> int:
    """How many columns a terminal gives to `text`: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )

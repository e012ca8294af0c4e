"""Rows in aligned columns: cut to the terminal's width where a column allows it, never cut when piped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobd.cli.measure import columns_of, cut, pieces
from jobd.cli.terminal import Screen, Tone, safe_line

_GAP = "  "
_LEAST, _LEAST_OF_ALL = 8, 3


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
    """The table as lines without newlines. Text of cells may be hostile: it is escaped here.

    Where the terminal is too narrow, elastic cells are cut. Ids and names never are: one that has no room stands on
    lines of its own above the rest of its row.
    """
    cells = [[_cell(item) for item in row] for row in rows]
    widths = [
        max(columns_of(column.title), *(columns_of(row[at].text) for row in cells), 0)
        for at, column in enumerate(columns)
    ]
    if screen.width is not None:
        widths = _handed_over(columns, cells, _fitted(columns, widths, screen.width), widths)
    heading = _line(columns, [Cell(column.title, Tone.DIM) for column in columns], widths, screen)
    return [heading, *(line for row in cells for line in _row(columns, row, widths, screen))]


def _cell(item: Cell | str) -> Cell:
    return Cell(safe_line(item)) if isinstance(item, str) else Cell(safe_line(item.text), item.tone)


def _fitted(columns: Sequence[Column], widths: list[int], limit: int) -> list[int]:
    """The widths within a limit: elastic columns give first, then the widest of the others, then the next one."""
    elastic = [at for at, column in enumerate(columns) if column.is_elastic]
    names = sorted((at for at, column in enumerate(columns) if not column.is_elastic), key=lambda at: -widths[at])
    fitted = widths
    for folded in range(len(names) + 1):
        for least in (_LEAST, _LEAST_OF_ALL):
            fitted = _taken(widths, elastic, limit, least)
            for at in names[:folded]:
                fitted = _taken(fitted, [at], limit, _LEAST)
            if _together(fitted) <= limit:
                return fitted
    return fitted


def _handed_over(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], fitted: list[int], wanted: list[int]
) -> list[int]:
    """Let elastic columns have the room that is left over once names that do not fit stand elsewhere."""
    widths, room = list(fitted), 0
    for at, column in enumerate(columns):
        if not column.is_elastic and fitted[at] < wanted[at]:
            sizes = (columns_of(row[at].text) for row in rows)
            widths[at] = max(columns_of(column.title), *(size for size in sizes if size <= fitted[at]), 0)
            room += fitted[at] - widths[at]
    for at, column in enumerate(columns):
        if column.is_elastic:
            more = min(room, wanted[at] - widths[at])
            widths[at], room = widths[at] + more, room - more
    return widths


def _together(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _taken(widths: Sequence[int], some: Sequence[int], limit: int, least: int) -> list[int]:
    """Take what is too much from the widest of some columns, again and again, down to a least width."""
    left = list(widths)
    for _ in range(_together(widths) - limit):
        widest = max(some, key=lambda at: left[at], default=None)
        if widest is None or left[widest] <= least:
            break
        left[widest] -= 1
    return left


def _row(columns: Sequence[Column], row: Sequence[Cell], widths: list[int], screen: Screen) -> Iterator[str]:
    """A row as one line, with lines above it for whole names that have no room in it."""
    left = list(row)
    for at, column in enumerate(columns):
        if not column.is_elastic and columns_of(row[at].text) > widths[at]:
            for piece in pieces(row[at].text, screen.width or widths[at]):
                yield screen.paint(piece, row[at].tone)
            left[at] = Cell("")
    yield _line(columns, left, widths, screen)


def _line(columns: Sequence[Column], row: Sequence[Cell], widths: list[int], screen: Screen) -> str:
    parts = []
    for column, cell, width in zip(columns, row, widths, strict=True):
        text = cut(cell.text, width)
        padding = " " * (width - columns_of(text))
        painted = screen.paint(text, cell.tone)
        parts.append(padding + painted if column.is_right else painted + padding)
    return _GAP.join(parts).rstrip()

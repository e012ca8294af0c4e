"""The text of an environment file as variables: the lines that systemd reads for EnvironmentFile=."""

from __future__ import annotations

import re
from collections.abc import Iterator

_IDLE = re.compile(r"[ \t\r]*(?:[#;][^\n]*)?(?:\n|\Z)")
_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*", re.ASCII)
_SINGLE = re.compile(r"'([^']*)'[ \t\r]*")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\[\s\S])*)"[ \t\r]*')
_BARE = re.compile(r"((?:[^\n\\]|\\[\s\S])*)")
_ESCAPED = re.compile(r"\\([\s\S])")
_ESCAPED_IN_QUOTES = re.compile(r"\\([\"\\`$\n])")


def variables(text: str) -> Iterator[tuple[str, str]]:
    """Name and value of each `NAME=VALUE`, in order; a later one is meant to win.

    Blank lines and those that begin with # or ; say nothing, `export` may come first. Values may stand in quotes, which
    then hold line breaks too; a backslash at the end of a line continues it. Nothing is substituted.
    Raises ValueError with the line and what is wrong there, but not with what stands there: it may be a secret.
    """
    at = 0
    while at < len(text):
        if idle := _IDLE.match(text, at):
            at = idle.end()
            continue
        name = _NAME.match(text, at)
        if name is None:
            raise ValueError(f"line {_line(text, at)} is not NAME=VALUE")
        value, at = _value(text, name.end(), _line(text, at))
        if "\0" in value:
            raise ValueError(f"line {_line(text, name.end())} contains a NUL character")
        yield name[1], value


def _value(text: str, at: int, line: int) -> tuple[str, int]:
    """The value that begins at a place, and where the next line begins. Quotes count at the beginning of a piece."""
    pieces = ""
    while at < len(text) and text[at] != "\n":
        if piece := _SINGLE.match(text, at):
            pieces += piece[1]
        elif piece := _DOUBLE.match(text, at):
            pieces += _ESCAPED_IN_QUOTES.sub(_unescaped, piece[1])
        elif text[at] in "'\"":
            raise ValueError(f"line {line} opens a quote that nothing closes")
        else:
            piece = _BARE.match(text, at)
            assert piece is not None
            pieces += _ESCAPED.sub(_unescaped, _trimmed(piece[1]))
            return pieces, _after(text, piece.end())
        at = piece.end()
    return pieces, at + 1


def _after(text: str, at: int) -> int:
    """Where the next line begins; a backslash that ends the text continues nothing."""
    return at + 1 if text[at : at + 1] in ("\n", "") else len(text)


def _trimmed(bare: str) -> str:
    """Without blanks at the end, but for one that a backslash keeps."""
    kept = bare.rstrip(" \t\r")
    backslashes = len(kept) - len(kept.rstrip("\\"))
    return bare[: len(kept) + backslashes % 2]


def _unescaped(match: re.Match[str]) -> str:
    return "" if match[1] == "\n" else match[1]


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1

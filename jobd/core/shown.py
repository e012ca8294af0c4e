"""How an error message quotes a value: the one way for files, requests and executors."""

from __future__ import annotations

from typing import Any


def shown(value: Any) -> str:
    """A value as an error message quotes it: short, on one line, texts in quotes."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            text = value if len(value) <= 60 else f"{value[:40]}…"
            return '"' + text.encode("unicode_escape").decode() + '"' if not text.isprintable() else f'"{text}"'
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return str(value)

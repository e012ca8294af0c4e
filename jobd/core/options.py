"""The words below an executor's key: each key has its reader, and everything wrong is told at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from jobd.core import names, spans
from jobd.core.executors import Fault, Misread
from jobd.core.model import Json
from jobd.core.shown import shown

Reader = Callable[[Json], Json]
"""The value to keep of the value that stands there. Raises ValueError, or Misread with places below it."""


def read(value: Json, readers: Mapping[str, Reader], required: Collection[str] = ()) -> dict[str, Json]:
    """What these readers make of a mapping. Raises ValueError for anything else, Misread for what is in it."""
    if not isinstance(value, dict):
        example = next(iter(required or readers))
        raise ValueError(f"{shown(value)} is not a mapping (write {example}: … below it)")
    faults: list[Fault] = []
    kept = {}
    for key, inner in value.items():
        reader = readers.get(key)
        if reader is None:
            faults.append(([key], unknown(key, readers)))
            continue
        try:
            kept[key] = reader(inner)
        except Misread as misread:
            faults += [([key, *steps], message) for steps, message in misread.faults]
        except ValueError as error:
            faults.append(([key], str(error)))
    faults += [([], f"lacks {key}") for key in required if key not in value]
    if faults:
        raise Misread(*faults)
    return kept


def unknown(key: str, known: Collection[str]) -> str:
    """What to say of a key that nobody knows."""
    meant = names.closest(key, known)
    return f'unknown key, did you mean "{meant}"?' if meant else f"unknown key (allowed: {', '.join(sorted(known))})"


def texts(value: Json) -> list[str]:
    """A list of texts, each wrong one named by its place."""
    if not isinstance(value, list):
        raise ValueError(f"{shown(value)} is not a list (write [a, b])")
    faults: list[Fault] = [([at], not_a_text(one)) for at, one in enumerate(value) if not isinstance(one, str)]
    if faults:
        raise Misread(*faults)
    return value


def not_a_text(value: Json) -> str:
    quotes = "" if isinstance(value, dict | list) else f' (put it in quotes: "{shown(value)}")'
    return f"{shown(value)} is not a text{quotes}"


def text(value: Json) -> str:
    if not isinstance(value, str):
        raise ValueError(not_a_text(value))
    return value


def path(value: Json) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError(f"{shown(value)} is not an absolute path (start it with /)")
    return value


def anything(value: Json) -> Json:
    return value


def duration(value: Json) -> float:
    """A span of more than nothing, in seconds."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{shown(value)} is not a duration (try 30s or 5m)")
    if (seconds := spans.seconds(value)) <= 0:
        raise ValueError(f"{shown(value)} is too short (more than nothing)")
    return seconds


def whole(lowest: int, highest: int) -> Reader:
    """A reader of integers within these bounds."""

    def check(value: Json) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{shown(value)} is not a whole number ({lowest} to {highest})")
        if not lowest <= value <= highest:
            raise ValueError(f"{value} is out of range ({lowest} to {highest})")
        return value

    return check

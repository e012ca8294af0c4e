"""Places in texts that a value of the payload takes: `${payload.key}`, and what of the payload belongs there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jobd.core.executors import Fault, Misread
from jobd.core.model import Json

_PLACE = re.compile(r"\$\{payload((?:\.[A-Za-z0-9_-]+)*)\}", re.ASCII)
_BEGINS = "${payload"


def filled(text: str, payload: Json, shape: Callable[[str], str] = str) -> str:
    """`text` with each place taken by its value, which `shape` may quote first. Raises Misread where there is none."""
    if _BEGINS not in text:
        return text
    return _PLACE.sub(lambda place: shape(_text(_value(place, payload))), text)


def filled_value(value: Json, payload: Json) -> Json:
    """The same of every text in a JSON value; a text that is one place and nothing else becomes the value itself."""
    if isinstance(value, str):
        alone = _PLACE.fullmatch(value) if _BEGINS in value else None
        return _value(alone, payload) if alone else filled(value, payload)
    if isinstance(value, list):
        return [filled_value(one, payload) for one in value]
    if isinstance(value, dict):
        return {key: filled_value(one, payload) for key, one in value.items()}
    return value


def has_places(value: Json) -> bool:
    return any(_PLACE.search(text) for text in _texts(value))


def lacking(value: Json, payload: Json) -> list[Fault]:
    """Every place in the texts of a JSON value that the payload has nothing for."""
    found: dict[str, Fault] = {}
    for text in _texts(value):
        for place in _PLACE.finditer(text):
            try:
                _value(place, payload)
            except Misread as misread:
                found.setdefault(place[0], misread.faults[0])
    return list(found.values())


def faults(options: Json, payload: Json, fill: Callable[[Json, Json], object]) -> Sequence[Fault]:
    """What is wrong with a payload for options with places: what they lack, else what `fill` finds as it fills them."""
    if found := lacking(options, payload):
        return found
    try:
        fill(options, payload)
    except Misread as misread:
        return misread.faults
    return ()


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        if _BEGINS in value:
            yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)


def _value(place: re.Match[str], payload: Json) -> Json:
    value: Any = payload
    for key in place[1].split(".")[1:]:
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise Misread(([], f"has no {key!r}, and the job asks for {place[0]}")) from None
    return value


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

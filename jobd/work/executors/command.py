"""Commands: an argument vector with values of the payload put in, one value inside one argument."""

from __future__ import annotations

import json
import re
from typing import Any

from jobd.work.accounts import Refused

_PLACE = re.compile(r"\$\{payload((?:\.[A-Za-z0-9_-]+)*)\}", re.ASCII)


def filled_in(argv: tuple[str, ...], payload: str) -> tuple[str, ...]:
    """`argv` with each `${payload.key}` replaced, never split again. Raises Refused where the payload lacks the key."""
    if not argv:
        raise Refused("the command is empty: give it a program")
    if not any("${payload" in item for item in argv):
        return argv
    value = json.loads(payload)
    return tuple(_PLACE.sub(lambda place: _text(value, place), item) for item in argv)


def _text(value: Any, place: re.Match[str]) -> str:
    for key in place[1].split(".")[1:]:
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise Refused(f"the command asks for {place[0]}, and the payload has no {key!r}") from None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""Commands: an argument vector with values of the payload put in, one value inside one argument."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any, ClassVar

from jobd.core import options, places
from jobd.core.executors import Executor, Fault, Misread
from jobd.core.model import Action, Command, Json
from jobd.core.shown import shown
from jobd.work.accounts import Refused


class CommandExecutor(Executor):
    schema: ClassVar[dict[str, Any]] = {
        "anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1}, {"type": "string"}],
        "description": "The program and its arguments. A string is split as a shell would, but no shell runs.",
    }

    def action(self, kind: str, value: Json) -> Action:  # noqa: ARG002 - it has one kind
        words = options.texts(_split(value))
        if not words or not words[0]:
            raise ValueError("is empty (give a program and its arguments)")
        return Command(tuple(words))

    def faults(self, action: Action, payload: Json) -> Sequence[Fault]:
        return places.lacking(action.argv, payload) if isinstance(action, Command) else ()


executor = CommandExecutor()


def _split(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as problem:
        raise ValueError(f"{shown(value)} cannot be split into words: {problem} (or write a list)") from None


def filled_in(argv: tuple[str, ...], payload: str) -> tuple[str, ...]:
    """`argv` with each `${payload.key}` replaced, never split again. Raises Refused where the payload lacks the key."""
    if not argv:
        raise Refused("the command is empty: give it a program")
    if not any("${payload" in item for item in argv):
        return argv
    value = json.loads(payload)
    try:
        return tuple(places.filled(item, value) for item in argv)
    except Misread as misread:
        raise Refused(f"the payload {misread}") from None

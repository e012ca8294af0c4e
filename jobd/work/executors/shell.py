"""Shell: a text for `/bin/sh -c`. The payload reaches it by the environment alone, never by substitution."""

from __future__ import annotations

from typing import Any, ClassVar

from jobd.core.executors import Executor
from jobd.core.model import Action, Json, Shell
from jobd.core.shown import shown


class ShellExecutor(Executor):
    schema: ClassVar[dict[str, Any]] = {"type": "string", "description": "Text for /bin/sh -c."}

    def action(self, kind: str, value: Json) -> Action:  # noqa: ARG002 - it has one kind
        if not isinstance(value, str):
            raise ValueError(not_a_text(value))
        if not value.strip():
            raise ValueError("is empty (give a text for /bin/sh)")
        return Shell(value)


executor = ShellExecutor()


def argv(text: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", text)


def not_a_text(value: Json) -> str:
    quotes = "" if isinstance(value, dict | list) else f' (put it in quotes: "{shown(value)}")'
    return f"{shown(value)} is not a text{quotes}"

"""Shell: a text for `/bin/sh -c`. The payload reaches it by the environment alone, never by substitution."""

from __future__ import annotations

from typing import Any, ClassVar

from jobd.core import options
from jobd.core.executors import Executor
from jobd.core.model import Action, Json, Shell


class ShellExecutor(Executor):
    schema: ClassVar[dict[str, Any]] = {"type": "string", "description": "Text for /bin/sh -c."}

    def action(self, kind: str, value: Json) -> Action:  # noqa: ARG002 - it has one kind
        text = options.text(value)
        if not text.strip():
            raise ValueError("is empty (give a text for /bin/sh)")
        return Shell(text)


executor = ShellExecutor()


def argv(text: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", text)

"""Identity of a job, and what it runs."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

from pydantic import Field

from jobd.core.model import Action, Command, Python, Shell
from jobd.definitions.schema.kinds import Name, Prepared, Words, shown, text_like

ACTIONS = ("command", "shell", "python")


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as problem:
        raise ValueError(f"{shown(value)} cannot be split into words: {problem} (or write a list)") from None


Argv = Annotated[
    list[str],
    Prepared(
        _split,
        {
            "anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1}, {"type": "string"}],
            "description": "The program and its arguments. A string is split as a shell would, but no shell runs.",
        },
    ),
]
Callable = Annotated[
    str,
    text_like(
        r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*",
        "a callable (write package.module:function)",
    ),
]


class Identity(Words):
    description: str = ""
    enabled: bool = True
    tags: list[Name] = Field(default_factory=list)
    owner: str | None = None


class What(Words):
    command: Argv | None = None
    shell: Annotated[str | None, Field(description="Text for /bin/sh -c.")] = None
    python: Callable | None = None

    def action(self) -> Action:
        """What the job runs. Raises ValueError where not exactly one way is given, or it is empty."""
        given = [key for key in ACTIONS if getattr(self, key) is not None]
        if not given:
            raise ValueError(f"says nothing to run (give one of {', '.join(ACTIONS)})")
        if len(given) > 1:
            raise ValueError(f"gives {' and '.join(given)}, and can have only one (null takes one away)")
        if self.command is not None:
            if not self.command or not self.command[0]:
                raise ValueError("command is empty (give a program and its arguments)")
            return Command(tuple(self.command))
        if self.shell is not None:
            if not self.shell.strip():
                raise ValueError("shell is empty (give a text for /bin/sh)")
            return Shell(self.shell)
        return Python(str(self.python))

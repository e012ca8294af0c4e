"""The named statements of `statements/`, read once: a file for each module that runs them."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements() -> dict[str, str]:
    """Name → statement, without the sentence above it."""
    found: dict[str, str] = {}
    for file in files("jobd.store").joinpath("statements").iterdir():
        parts = _NAME.split(file.read_text(encoding="utf-8"))[1:]
        named = {name: _statement(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}
        assert not found.keys() & named.keys(), "a name stands for one statement"
        found |= named
    return found


def _statement(body: str) -> str:
    lines = [line for line in body.splitlines() if not line.startswith("--")]
    return "\n".join(lines).strip().removesuffix(";")

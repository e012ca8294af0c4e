"""Shell: a text for `/bin/sh -c`. The payload reaches it by the environment alone, never by substitution."""

from __future__ import annotations


def argv(text: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", text)

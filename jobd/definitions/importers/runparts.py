"""run-parts: which scripts of a directory Debian's program runs, and a command line that runs just one of them."""

from __future__ import annotations

import os
import re
import stat

_CALL = re.compile(r"(?:(?<=\s)|^)(?:/(?:usr/)?bin/)?run-parts((?:\s+--?[a-z=0-7]+)*)\s+(/[A-Za-z0-9._/-]+)", re.ASCII)
_HARMLESS = frozenset({"--report", "--verbose", "-v", "--exit-on-error"})
_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def split(command: str) -> tuple[tuple[str, str], ...]:
    """(script, command) of every script that a line runs by run-parts; none where there is no plain call of it."""
    match = _CALL.search(command)
    if match is None or not set(match[1].split()) <= _HARMLESS:
        return ()
    return tuple(
        (script, command[: match.start()] + script + command[match.end() :]) for script in scripts(match[2].rstrip("/"))
    )


def scripts(directory: str) -> list[str]:
    """The paths of a directory that run-parts runs, in its order: executable files of letters, digits, `_` and `-`."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    return [path for name in names if _NAME.fullmatch(name) and _runs(path := os.path.join(directory, name))]


def _runs(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & 0o111)

"""Names for jobs that had none: made of the file they came from and the program they run, safe and unique."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_RUN_PARTS = re.compile(r"\brun-parts\b[^;&|{}]*?\s(/[^\s;&|{}]+)")
_APART = re.compile(r"&&|\|\||[;|(){}\n]|\b(?:then|do|else)\b")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*", re.ASCII)
_GUARDS = frozenset("test [ [[ if while for cd command type which umask sleep set export exit : true false ! . fi".split())
_WRAPPERS = frozenset(
    "exec nice ionice timeout sudo env chronic flock nohup setsid systemd-cat time chrt runuser su su-exec gosu".split()
)
_INTERPRETERS = frozenset("sh bash dash zsh ksh python python3 python2 perl php ruby node".split())
_NO_NAME = re.compile(r"[-+0-9].*|.*[=$<>&\"'`*?].*", re.DOTALL)
_SUFFIX = re.compile(r"\.(?:sh|py|pl|rb|php|js|bash)$")
_LONGEST = 100


def purpose(command: str) -> str:
    """The program that a command line is about: not what guards it, nor what it is wrapped in; `job` if none is found."""
    if (match := _RUN_PARTS.search(command)) is not None:
        return os.path.basename(match[1].rstrip("/"))
    for part in _APART.split(command):
        words = [word for word in part.split() if not _ASSIGNMENT.fullmatch(word)]
        if not words or words[0] in _GUARDS:
            continue
        if (found := _program(words)) is not None:
            return found
    return "job"


def _program(words: list[str]) -> str | None:
    for word in words:
        base = os.path.basename(word.strip("\"'"))
        if not base or base in _WRAPPERS or base in _INTERPRETERS or _NO_NAME.fullmatch(word):
            continue
        return _SUFFIX.sub("", base)
    return os.path.basename(words[0]) if words[0] in _INTERPRETERS else None


def name(hints: Iterable[str], taken: Container[str]) -> str:
    """A name made of the hints that is not taken; a hint that another one says already is left out."""
    kept: list[str] = []
    for hint in filter(None, map(_slug, hints)):
        if any(hint.lower() in other.lower() for other in kept):
            continue
        kept = [other for other in kept if other.lower() not in hint.lower()]
        kept.append(hint)
    wanted = "-".join(kept)[:_LONGEST].rstrip(".-_") or "job"
    found, count = wanted, 1
    while found in taken:
        count += 1
        found = f"{wanted}-{count}"
    return found


def _slug(text: str) -> str:
    return _UNSAFE.sub("-", text).strip("._-")

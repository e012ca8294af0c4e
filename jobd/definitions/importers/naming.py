"""Names for jobs that had none: made of the file they came from and the program they run, safe and unique."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_RUN_PARTS = re.compile(r"\brun-parts\b[^;&|{}]*?\s(/[^\s;&|{}]+)")
_APART = re.compile(r"&&|\|\||[;|(){}\n]|\b(?:then|do|else)\b")
_SUBSTITUTION = re.compile(r"\$\([^()]*\)|`[^`]*`")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*", re.ASCII)
_GUARDS = re.compile(
    r"test|\[\[?|if|while|for|cd|command|type|which|umask|sleep|set|export|exit|[:.!]|true|false|fi|echo|printf"
)
_WRAPPERS = re.compile(
    r"exec|nice|ionice|timeout|sudo|env|chronic|flock|nohup|setsid|systemd-cat|time|chrt|runuser|su|su-exec|gosu"
)
_INTERPRETERS = re.compile(r"(?:ba|da|z|k)?sh|python[0-9.]*|perl|php|ruby|node")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|\\.""", re.DOTALL)
_NO_NAME = re.compile(r"[-+0-9].*|.*\.(?:lock|pid)|.*[=$<>&\"'`*?].*", re.DOTALL)
_SUFFIX = re.compile(r"\.(?:sh|py|pl|rb|php|js|bash)$")
_LONGEST = 100


def purpose(command: str) -> str:
    """The program that a command line is about, not what guards or wraps it; `job` if none is found."""
    if (match := _RUN_PARTS.search(command)) is not None:
        return os.path.basename(match[1].rstrip("/")).replace(".", "-")
    parts = [part.split() for part in _APART.split(_QUOTED.sub("''", _SUBSTITUTION.sub("", command)))]
    calls = [[word for word in words if not _ASSIGNMENT.fullmatch(word)] for words in parts]
    found = (_program(words) for words in calls if words and not _GUARDS.fullmatch(words[0]))
    named = next(filter(None, found), None)
    return named or next(
        (_base(words[0]) for words in calls if words and _INTERPRETERS.fullmatch(_base(words[0]))), "job"
    )


def _program(words: list[str]) -> str | None:
    for word in words:
        base = _base(word)
        is_other = _WRAPPERS.fullmatch(base) or _INTERPRETERS.fullmatch(base) or _NO_NAME.fullmatch(word)
        if base and not is_other:
            return _SUFFIX.sub("", base)
    return None


def _base(word: str) -> str:
    return os.path.basename(word)


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

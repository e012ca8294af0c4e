"""The one rule for names of jobs and queues, used by every verb that takes one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

NOTIFY = "jobd.notify"
"""The queue of notifications, and what the names of their jobs begin with: nobody else may use either."""
ADHOC = "adhoc"
"""What runs of commands that no file defines go by, as a job."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether `text` may name a job or a queue: 1 to 128 of letters, digits, `.`, `_`, `-`, no punctuation first."""
    return NAME.fullmatch(text) is not None


def is_reserved(name: str) -> bool:
    """Whether a name of a job or queue is one of jobd's own, for notifications."""
    return name == NOTIFY or name.startswith(f"{NOTIFY}.")


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word a person probably meant, if any is near enough."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def counted(number: int, noun: str, several: str = "") -> str:
    """A number with its noun, in the singular where there is one: `1 job`, `3 jobs`, `2 processes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {several or noun + 's'}"


def several(names: Sequence[str]) -> str:
    """Names in a sentence, the first ten of them."""
    shown = ", ".join(names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown

"""The machine words that say why a slot or a run is as it is, and the words a person reads in their place."""

from __future__ import annotations

import re

_SENTENCES = {
    "overlap": "the last run was not over",
    "unique": "another run holds its key",
    "replaced": "a later slot took its place",
    "newer_slot": "a newer slot stands for it",
    "catch_up": "caught up late",
    "catch_up_skip": "missed while jobd was not there, and catch_up is skip",
    "catch_up_window": "missed for longer than catch_up_window allows",
    "excluded": "its day is one of rest in the calendar",
    "not_started": "its run waited for too long",
    "start_deadline": "too late for its start_deadline",
    "max_catch_up": "missed, and more slots than max_catch_up were",
}
_WORD = re.compile(r"[a-z][a-z0-9_]*")
_RUN = re.compile(r"\brun (\d{1,18})\b")


def word_of(reason: str) -> str:
    """The machine word a reason begins with; empty where there is none."""
    word = reason.partition(":")[0]
    return word if _WORD.fullmatch(word) else ""


def in_words(reason: str) -> str:
    """A reason as a person reads it: the sentence of its machine word, and after it what else it says."""
    word, _, rest = reason.partition(":")
    if not _WORD.fullmatch(word):
        return reason
    sentence = _SENTENCES.get(word, word.replace("_", " "))
    return f"{sentence}: {rest.strip()}" if rest.strip() else sentence


def run_in(reason: str) -> int | None:
    """The run that a reason names, if it does."""
    found = _RUN.search(reason)
    return int(found[1]) if found else None

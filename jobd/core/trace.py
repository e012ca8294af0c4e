"""Which trace a run belongs to, by W3C Trace Context. Which spans jobd adds to it is `tracing`'s."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PARENT = re.compile(r"([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[\x20-\x7e]*)?", re.ASCII)
_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}|[a-z][a-z0-9_*/-]{0,255})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]",
    re.ASCII,
)
_MOST_MEMBERS = 32
_LONGEST_STATE = 512
_LONGEST_PARENT = 512
_PARENT_OF_VERSION_0 = 55


@dataclass(frozen=True, slots=True)
class Trace:
    """A checked `traceparent`, and the `tracestate` that belongs to it; empty where there is none."""

    parent: str
    state: str = ""


def read_parent(text: str) -> str:
    """A traceparent as version 00 writes it. Raises ValueError with what is allowed.

    Of a version that is to come, the part that version 00 knows is taken, as the standard has it.
    """
    found = _PARENT.fullmatch(text) if len(text) <= _LONGEST_PARENT else None
    if found is None or found[1] == "ff" or (found[1] == "00" and found[2] is not None):
        raise ValueError(
            "must be a traceparent like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 (W3C Trace Context)"
        )
    return "00" + text[2:_PARENT_OF_VERSION_0]


def read_state(text: str) -> str:
    """A tracestate, its empty members left out. Raises ValueError with what is allowed."""
    members = [one for one in (part.strip(" \t") for part in text.split(",")) if one]
    keys = {one.partition("=")[0] for one in members}
    if len(members) > _MOST_MEMBERS or len(keys) < len(members) or not all(map(_MEMBER.fullmatch, members)):
        raise ValueError(f"must be a tracestate like vendor=value,other=value, of {_MOST_MEMBERS} members at most")
    if len(kept := ",".join(members)) > _LONGEST_STATE:
        raise ValueError(f"must have {_LONGEST_STATE} characters at most")
    return kept


def heard(parent: str | None, state: str | None) -> Trace | None:
    """The trace that headers or an environment tell of; what is not well-formed is passed over.

    So the standard has it: whoever starts work must not fail for the tracing of somebody before.
    """
    try:
        known = Trace(read_parent(parent or ""))
    except ValueError:
        return None
    try:
        return Trace(known.parent, read_state(state or ""))
    except ValueError:
        return known

"""The audit trail: who changed what, and a chain of digests by which a trail that was altered shows it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from jobd.core.spans import micros

Result = Literal["done", "refused", "denied"]
"""`refused`: it could not be done, `denied`: whoever asked may not."""
_SHOWN_RANGES = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One change, or one that was asked for in vain."""

    at: datetime
    uid: int
    user: str
    pid: int
    executable: str
    """What the peer was running when it connected; empty where that could not be told."""
    did: str
    """The intent's word, like `cancel-run`, or method and path of a request that was denied."""
    on: str
    result: Result = "done"
    detail: str = ""
    times: int = 1
    """How many requests this stands for: submits that came together, or denials that came fast."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry of the trail, with its number and its link in the chain."""

    id: int
    entry: Entry
    digest: bytes


def link(previous: bytes, entry: Entry) -> bytes:
    """The digest of an entry (SHA-256 over the digest before it and every field), 32 bytes."""
    fields = [micros(entry.at), entry.uid, entry.user, entry.pid, entry.executable]
    fields += [entry.did, entry.on, entry.result, entry.detail, entry.times]
    return hashlib.sha256(previous + json.dumps(fields, ensure_ascii=False).encode()).digest()


def first_broken(previous: bytes, trail: Iterable[Kept]) -> int | None:
    """The number of the first entry that does not follow from the one before it; None where all do."""
    last: int | None = None
    for kept in trail:
        if kept.digest != link(previous, kept.entry) or (last is not None and kept.id != last + 1):
            return kept.id
        previous, last = kept.digest, kept.id
    return None


def in_ranges(numbers: Iterable[int]) -> str:
    """Ids as a person lists them: `5-9, 12`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in spans[:_SHOWN_RANGES]]
    return ", ".join(shown) + (", …" if len(spans) > _SHOWN_RANGES else "")

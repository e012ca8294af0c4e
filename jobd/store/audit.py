"""The audit trail in the store: entries are added to its end and go from its beginning, and are never changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobd.core.audit import Entry, Kept, link
from jobd.core.spans import from_micros, micros
from jobd.store.connection import Transaction

ANCHOR = "audit_anchor"
"""Where the digest stands that the oldest entry follows from, once older ones have been forgotten."""


def append(tx: Transaction, entries: Iterable[Entry]) -> None:
    """Add entries, each linked to the one before it."""
    entries = list(entries)
    if not entries:
        return
    last = tx.row("last_audit", {})
    previous = last[0] if last is not None else _anchor(tx)
    rows = []
    for entry in entries:
        previous = link(previous, entry)
        rows.append((*_fields(entry), previous))
    tx.many("add_audit", rows)


def forget(tx: Transaction, before: datetime, most: int) -> int:
    """Drop the oldest entries made before an instant, at most so many; how many went."""
    rows = tx.rows("oldest_audit", {"before": micros(before), "most": most})
    if rows:
        tx.run("note_meta", {"key": ANCHOR, "value": rows[-1][1].hex()})
        tx.many("forget_audit", ((row[0],) for row in rows))
    return len(rows)


def _anchor(tx: Transaction) -> bytes:
    row = tx.row("meta", {"key": ANCHOR})
    return b"" if row is None else bytes.fromhex(str(row[0]))


def _fields(entry: Entry) -> tuple[object, ...]:
    who = (micros(entry.at), entry.uid, entry.user, entry.pid, entry.executable)
    return (*who, entry.did, entry.on, entry.result, entry.detail, entry.times)


def kept(row: tuple[Any, ...]) -> Kept:
    """The entry of a row."""
    number, at, *fields, digest = row
    return Kept(number, Entry(from_micros(at), *fields), digest)

"""Which releases the next slots in the store were worked out by."""

from __future__ import annotations

import json
from collections.abc import Mapping

from jobd.store.connection import Transaction


def known(tx: Transaction) -> dict[str, str]:
    """What → its release, as it was noted last; empty in a new store."""
    row = tx.row("meta", {"key": "versions"})
    return {} if row is None else dict(json.loads(row[0]))


def note(tx: Transaction, versions: Mapping[str, str]) -> None:
    """Remember what slots are worked out by from now on."""
    tx.run("note_meta", {"key": "versions", "value": json.dumps(dict(versions), sort_keys=True)})

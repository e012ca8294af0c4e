"""Which definitions jobd died of, from one start to the next."""

from __future__ import annotations

from collections.abc import Iterable

from jobd.core import suspects
from jobd.core.suspects import Suspect
from jobd.store.connection import Transaction


def known(tx: Transaction) -> list[Suspect]:
    """Those noted last; none in a new store."""
    row = tx.row("meta", {"key": "suspects"})
    return [] if row is None else suspects.from_text(row[0])


def note(tx: Transaction, found: Iterable[Suspect]) -> None:
    tx.run("note_meta", {"key": "suspects", "value": suspects.to_text(found)})

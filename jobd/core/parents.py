"""What a run is handed of the runs it waited for: as a text on the way to its worker, as values where it gets there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobd.core.model import Json

if TYPE_CHECKING:  # a worker reads what it is handed, and has no use for the records of the store
    from jobd.core.records import ParentRecord

MOST_BYTES = 4 * 1024 * 1024
"""All that is handed to one run; the result of one alone is within 1 MiB."""


@dataclass(frozen=True, slots=True)
class Parent:
    """A run that this one waited for, as a Python job sees it."""

    run: int
    job: str
    state: str
    outcome: str | None = None
    error: str | None = None
    result: Json = None


def to_text(parents: Iterable[ParentRecord]) -> str:
    """JSON for `read`, empty for none; results are put in as they are kept."""
    texts = [_one(parent) for parent in parents]
    return f"[{','.join(texts)}]" if texts else ""


def _one(parent: ParentRecord) -> str:
    head = [parent.run, parent.job, parent.state, parent.outcome, parent.error]
    return f"[{json.dumps(head, ensure_ascii=False)[1:-1]},{parent.result or 'null'}]"


def read(text: str) -> tuple[Parent, ...]:
    """The parents that `to_text` wrote; none for an empty text."""
    rows: list[list[Any]] = json.loads(text) if text else []
    return tuple(Parent(*row) for row in rows)


def results_text(text: str) -> str | None:
    """What JOBD_PARENT_RESULT_FILE holds; None without parents.

    It is the result of the one parent, or of several an object with the name of each one's job. Parents that are runs
    of the same job stand under their run's id instead.
    """
    parents = read(text)
    if not parents:
        return None
    times = Counter(parent.job for parent in parents)
    several = {parent.job if times[parent.job] == 1 else str(parent.run): parent.result for parent in parents}
    return json.dumps(parents[0].result if len(parents) == 1 else several, ensure_ascii=False)

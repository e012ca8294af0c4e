"""The definitions that runs were accepted under: those in force, and others as read from the store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from jobd.core.model import Job
from jobd.store import jobs
from jobd.store.connection import Transaction

_KEPT = 4096


@dataclass(slots=True)
class Specs:
    """Definitions by the id they are kept under. A definition never changes, so what was read once stays true."""

    in_force: Mapping[int, Job] = field(default_factory=dict)
    _known: OrderedDict[int, Job] = field(default_factory=OrderedDict)

    def get(self, tx: Transaction, spec: int) -> Job | None:
        """The definition, or None where this jobd cannot read it (any more)."""
        job = self.in_force.get(spec)
        if job is not None:
            return job
        job = self._known.get(spec)
        if job is not None:
            self._known.move_to_end(spec)
            return job
        try:
            job = jobs.spec_of(tx, spec)
        except (ValueError, KeyError, TypeError):
            return None
        self._known[spec] = job
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return job

    def forget(self) -> None:
        """A transaction came to nothing: what was read in it may never have been kept, and its ids are given anew."""
        self._known.clear()

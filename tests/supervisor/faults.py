"""A writer whose commits fail, or are the last thing that its process does; and what a dead supervisor leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import apsw

from jobd.core.model import AttemptKey, Finished, ProcessIdentity
from jobd.store.connection import Transaction, Writer

Fault = Literal["", "disk full", "dies before", "dies after"]
"""What happens to a commit: it fails until there is room again, or the process dies just before or after it."""


class Died(Exception):
    """The process is no more."""


@dataclass
class FaultyWriter:
    """Everything of a transaction is real but its end."""

    writer: Writer
    fault: Fault = ""

    @contextmanager
    def transaction(self, now: datetime) -> Iterator[Transaction]:
        with self.writer.transaction(now) as tx:
            yield tx
            if self.fault == "disk full":
                raise apsw.FullError("database or disk is full")
            if self.fault == "dies before":
                raise Died
        if self.fault == "dies after":
            raise Died

    def __getattr__(self, name: str) -> Any:
        return getattr(self.writer, name)


@dataclass
class LeftBehind:
    """The pool as the next supervisor finds it: workers that live, and reports of some that had nobody to tell."""

    alive: dict[int, AttemptKey]
    """The attempts of workers that live, by pid."""
    reports: list[Finished]
    adopted: dict[AttemptKey, int] = field(default_factory=dict)
    forgotten: list[AttemptKey] = field(default_factory=list)

    def left_reports(self) -> list[Finished]:
        return self.reports

    def is_alive(self, worker: ProcessIdentity) -> bool:
        return worker.pid in self.alive

    def adopt(self, key: AttemptKey, worker: ProcessIdentity, *_: object) -> None:
        assert self.alive[worker.pid] == key, "adopted in the place of another"
        self.adopted[key] = worker.pid

    def sweep(self, key: AttemptKey, child: ProcessIdentity | None) -> None:
        assert key not in self.adopted, "what lives was swept away"

    def sweep_others(self, keep: Iterable[AttemptKey]) -> None:
        assert set(self.adopted) <= set(keep), "what lives would lose what it has on disk"

    def forget_report(self, key: AttemptKey) -> None:
        self.forgotten.append(key)

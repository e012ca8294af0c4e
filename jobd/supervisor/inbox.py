"""What came in since the last commit: reports, intents, a new catalog. Nothing leaves it before it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobd.core.intents import Intent
from jobd.core.model import AttemptKey, Finished, ProcessIdentity
from jobd.supervisor.catalogs import AdoptCatalog

Asked = Intent | AdoptCatalog


@dataclass(frozen=True, slots=True)
class Question:
    """An intent and where its durable answer goes."""

    intent: Asked
    answer: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Child:
    """The process of an attempt, as its worker told."""

    identity: ProcessIdentity
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """What one tick works on."""

    reports: tuple[Finished, ...]
    questions: tuple[Question, ...]
    children: tuple[tuple[AttemptKey, Child], ...]


@dataclass(slots=True)
class Inbox:
    """Waits for the next tick. `wake` is called whenever something came in that should not wait for a timer."""

    wake: Callable[[], None]
    reports: dict[AttemptKey, Finished] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    children: dict[AttemptKey, Child] = field(default_factory=dict)

    def report(self, finished: Finished) -> None:
        """Take the report of an attempt; the first one counts."""
        self.reports.setdefault(finished.key, finished)
        self.children.pop(finished.key, None)
        self.wake()

    def replace(self, finished: Finished) -> None:
        """Let this report stand for the one that is here."""
        self.reports[finished.key] = finished
        self.wake()

    def started(self, key: AttemptKey, child: ProcessIdentity, at: datetime) -> None:
        """Take the news of a child. It wakes nobody: most attempts are over before it would be worth a commit."""
        self.children[key] = Child(child, at)

    def ask(self, question: Question) -> None:
        self.questions.append(question)
        self.wake()

    def batch(self) -> Batch:
        """Everything that waits; it stays here until it is dropped."""
        return Batch(tuple(self.reports.values()), tuple(self.questions), tuple(self.children.items()))

    def drop(self, batch: Batch) -> None:
        """Forget what a commit has settled."""
        for finished in batch.reports:
            self.reports.pop(finished.key, None)
        del self.questions[: len(batch.questions)]
        for key, child in batch.children:
            if self.children.get(key) is child:
                del self.children[key]

    def __bool__(self) -> bool:
        return bool(self.reports or self.questions or self.children)

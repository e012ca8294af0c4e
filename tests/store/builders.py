"""Short ways to a store on a real file, with runs in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobd.core.model import AttemptKey, Command, Ending, Job, ProcessIdentity, RunRequest, Schedule
from jobd.core.states import Outcome, RunState, Trigger
from jobd.store import jobs, reservation, runs, submits
from jobd.store.connection import Transaction, Writer
from jobd.store.history import History
from jobd.store.open import open_store
from jobd.store.reservation import Reserved
from jobd.store.submits import JobRef

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
WORKER = ProcessIdentity("boot", 4242, 99)
SECOND = timedelta(seconds=1)


def job(name: str = "backup", **more: Any) -> Job:
    return Job(name, Command(("/bin/true",)), **more)


def scheduled(name: str = "hourly", expression: str = "0 * * * *", **more: Any) -> Job:
    return job(name, schedule=Schedule((expression,), "UTC"), **more)


@dataclass
class Store:
    """An open store, and a clock that only tests move."""

    path: str
    writer: Writer
    history: History
    now: datetime = NOW

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self.writer.transaction(self.now) as tx:
            yield tx

    def adopt(self, definition: Job, *, starts_afresh: bool = False) -> JobRef:
        with self.transaction() as tx:
            return jobs.adopt(tx, definition, "jobs.yaml", starts_afresh=starts_afresh)

    def submit(self, definition: Job | None = None, count: int = 1, **more: Any) -> list[int]:
        """Accept runs of a job, which is put in force first."""
        definition = definition or job()
        ref = self.adopt(definition)
        request = RunRequest(definition, Trigger.SUBMIT, **{"max_attempts": 3, "queue": definition.queue, **more})
        with self.transaction() as tx:
            return submits.submit(tx, [(request, ref)] * count)

    def reserve(
        self, most: int = 1, queue: str = "default", room: list[tuple[int, int]] | None = None
    ) -> list[Reserved]:
        """Reserve and open the attempts."""
        with self.transaction() as tx:
            got = reservation.reserve(tx, queue, room or [(0, 2**31)], most)
            reservation.open_attempts(tx, [(one.key, WORKER) for one in got])
        return got

    def start(self, run: int) -> AttemptKey:
        """Reserve the next run, which is this one."""
        (got,) = self.reserve()
        assert got.key.run == run
        return got.key

    def end(self, key: AttemptKey, outcome: Outcome = Outcome.SUCCEEDED, **more: Any) -> bool:
        """Close an attempt and give its run the state that fits."""
        ending = replace(Ending(outcome, self.now, self.now), **more)
        state = RunState.SUCCEEDED if outcome is Outcome.SUCCEEDED else RunState.FAILED
        with self.transaction() as tx:
            runs.close_attempt(tx, key, ending)
            return runs.end(tx, key, state, ending, ending.error)

    def state(self, run: int) -> RunState:
        found = self.history.run(run)
        assert found is not None
        return found.state

    def rows(self, sql: str, *bindings: Any) -> list[tuple[Any, ...]]:
        """Ask the file itself."""
        with self.transaction() as tx:
            return list(tx._connection.raw.execute(sql, bindings).fetchall())

    def close(self) -> None:
        self.history.close()
        self.writer.close()


def open_at(directory: Path, *, synchronous: str = "full") -> Store:
    path = str(directory / "jobd.db")
    return Store(path, *open_store(path, synchronous=synchronous))

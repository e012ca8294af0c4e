"""Lets the history forget what its retention says, a small transaction at a time, with pauses between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobd.core.model import AttemptKey
from jobd.core.retention import Ended, Pruned, Retention, is_old
from jobd.core.states import RunState
from jobd.store import audit, retention
from jobd.store.connection import Transaction, Writer
from jobd.work.output import OutputFiles

EVERY_SECONDS = 3600.0
"""From the end of one pass to the start of the next."""
_RUNS = 250
_SLOTS = 500
_JOBS = 100
_ENTRIES = 500
_FIGURES = timedelta(hours=48)
"""Nobody asks for more than the last 24 hours of a queue."""
_OVER = object()


@dataclass(slots=True)
class Pruner:
    """Goes through the history again and again. Each step is one short transaction, or one directory of output."""

    writer: Writer
    outputs: OutputFiles
    policy: Retention
    now: Callable[[], datetime]
    is_running: Callable[[AttemptKey], bool]
    _pass: Iterator[None] | None = None
    _due_at: float = field(default_factory=lambda: time.monotonic() + 60.0)

    def step(self) -> None:
        """Do a little, where a pass is due. Raises StorageFailed; the pass is then begun anew later."""
        if self._pass is None:
            if time.monotonic() < self._due_at:
                return
            self._pass = self.steps(Pruned())
        is_over = True
        try:
            is_over = next(self._pass, _OVER) is _OVER
        finally:
            if is_over:
                self._pass, self._due_at = None, time.monotonic() + EVERY_SECONDS

    def steps(self, done: Pruned) -> Iterator[None]:
        """One pass over everything, pausing after each step; `done` is counted up as it goes."""
        yield from self._runs(done)
        yield from self._slots(done)
        yield from self._figures()
        yield from self._audit()
        yield from self._output(done)

    def _audit(self) -> Iterator[None]:
        span, gone = self.policy.audit, _ENTRIES
        while span is not None and gone == _ENTRIES:
            with self.writer.transaction(self.now()) as tx:
                gone = audit.forget(tx, tx.now - span, _ENTRIES)
            if gone:
                yield

    def _runs(self, done: Pruned) -> Iterator[None]:
        shortest, cursor = self.policy.shortest(), 0
        kept: dict[tuple[int, RunState], int] = {}
        while shortest is not None:
            with self.writer.transaction(self.now()) as tx:
                seen = retention.ended(tx, cursor, tx.now - shortest, _RUNS)
                gone = [run for run in seen if self._goes(tx, run, kept)]
                keys = retention.forget(tx, gone)
            for key in keys:
                self.outputs.remove(key.run, key.attempt)
            done.runs += len(gone)
            if len(seen) < _RUNS:
                return
            cursor = seen[-1].run
            yield

    def _goes(self, tx: Transaction, run: Ended, kept: dict[tuple[int, RunState], int]) -> bool:
        if not is_old(run, self.policy, tx.now):
            return False
        if run.state not in (RunState.SUCCEEDED, RunState.FAILED):
            return True
        last = run.job, run.state
        if last not in kept:
            kept[last] = retention.kept_from(tx, *last, self.policy.keep_last)
        return run.run < kept[last]

    def _figures(self) -> Iterator[None]:
        with self.writer.transaction(self.now()) as tx:
            retention.forget_figures(tx, tx.now - _FIGURES)
        yield

    def _slots(self, done: Pruned) -> Iterator[None]:
        span, cursor = self.policy.of_slots(), 0
        while span is not None:
            with self.writer.transaction(self.now()) as tx:
                jobs, room = retention.jobs_above(tx, cursor, _JOBS), _SLOTS
                for job in jobs:
                    room -= retention.forget_slots(tx, job, tx.now - span, room)
                    if room == 0:
                        break  # more of this job's may be left: it comes first the next time
                    cursor = job
            done.slots += _SLOTS - room
            if not jobs:
                return
            yield

    def _output(self, done: Pruned) -> Iterator[None]:
        most = self.policy.output_max_bytes
        if most is None:
            return
        sizes = {}
        for shard in self.outputs.shards():
            sizes[shard] = self.outputs.size_of(shard)
            yield
        total = sum(sizes.values())
        if total <= most:
            return
        # Runs are spread evenly over the directories, so that the oldest of each are the oldest of all.
        for shard, size in sizes.items():
            done.output_bytes += self.outputs.shrink(shard, size * most // total, self.is_running)
            yield

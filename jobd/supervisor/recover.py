"""Takes up what a dead supervisor left behind, before anything is reserved: reports, live attempts, lost ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobd.core import events
from jobd.core.model import AttemptKey, Ending, Finished
from jobd.core.states import Outcome
from jobd.store.connection import Transaction
from jobd.store.recovery import LeftAttempt, left_running, next_epoch
from jobd.supervisor.specs import Specs
from jobd.work.identity import boot_id
from jobd.work.pool import Pool

_SECOND_LINE = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True)
class Left:
    """What there is to judge: attempts under way by the store, and when each is to be ended at the latest."""

    epoch: int
    attempts: tuple[tuple[LeftAttempt, datetime | None], ...]


def look(tx: Transaction, specs: Specs, stepped: timedelta) -> Left:
    """What the store says was under way; `stepped` is how far the wall clock was set since it said so."""
    found = []
    for left in left_running(tx):
        job = specs.get(tx, left.spec)
        timeout = left.timeout_seconds if left.timeout_seconds is not None else (job.timeout_seconds if job else 0.0)
        kill_after = job.kill_after_seconds if job else 10.0
        over = [left.started_at + timedelta(seconds=timeout)] if timeout else []
        over += [left.deadline] if left.deadline is not None else []
        patience = stepped + timedelta(seconds=kill_after) + _SECOND_LINE
        found.append((left, min(over) + patience if over else None))
    return Left(next_epoch(tx), tuple(found))


@dataclass(frozen=True, slots=True)
class Judged:
    """What was made of the attempts that were under way."""

    reports: list[Finished]
    told: list[events.AttemptRescued]
    cancelling: list[AttemptKey]
    """Adopted attempts whose end was asked for."""


def judge(left: Left, pool: Pool, now: datetime) -> Judged:
    """Adopt what lives, take the reports that were left, report the rest lost: only once no process of it lives."""
    reports = {finished.key: finished for finished in pool.left_reports()}
    made = Judged([], [], [])
    for attempt, ends in left.attempts:
        how = "reported"
        if attempt.key in reports:
            made.reports.append(reports[attempt.key])
        elif pool.is_alive(attempt.worker):
            pool.adopt(attempt.key, attempt.worker, attempt.child, ends)
            how = "adopted"
            if attempt.cancelling:
                made.cancelling.append(attempt.key)
        else:
            made.reports.append(_lost(attempt, pool))
            how = "lost"
        made.told.append(events.AttemptRescued(attempt.key, attempt.job_name, now, how))
    _forget_others(reports, left, pool)
    pool.sweep_others(attempt.key for attempt, _ in left.attempts if pool.is_alive(attempt.worker))
    return made


def _lost(attempt: LeftAttempt, pool: Pool) -> Finished:
    if attempt.worker.boot_id != boot_id():
        return Finished(attempt.key, Ending(Outcome.LOST, attempt.started_at, error="lost: the host was rebooted"))
    pool.sweep(attempt.key, attempt.child)
    return Finished(attempt.key, Ending(Outcome.LOST, attempt.started_at, error="lost: its worker is gone"))


def _forget_others(reports: Iterable[AttemptKey], left: Left, pool: Pool) -> None:
    """A report of an attempt that is not under way was taken in before its worker heard so."""
    expected = {attempt.key for attempt, _ in left.attempts}
    for key in reports:
        if key not in expected:
            pool.forget_report(key)

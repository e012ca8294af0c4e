"""The stage that judges lateness: what a job does not keep of `expect` is told of once, and kept until it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobd.core import events, lateness
from jobd.core.holds import EVERYTHING
from jobd.store import holds
from jobd.store import lateness as store
from jobd.store.connection import Transaction
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.catalogs import InForce


def watched(in_force: Mapping[str, InForce]) -> dict[str, InForce]:
    """The jobs in force of which something is expected."""
    return {name: job for name, job in in_force.items() if lateness.is_watched(job.job)}


def concerned(happened: Iterable[events.Event], jobs: Mapping[str, InForce]) -> set[str]:
    """The watched jobs that may stand otherwise after this."""
    found: set[str] = set()
    if not jobs:
        return found
    for event in happened:
        match event:
            case events.Paused(kind="queue", name=name) | events.Resumed(kind="queue", name=name):
                found |= {one for one, job in jobs.items() if name in (EVERYTHING, job.job.queue)}
            case events.Paused(name=name) | events.Resumed(name=name):
                found.add(name)
            case (
                events.RunAccepted(job=name)
                | events.AttemptStarted(job=name)
                | events.AttemptFinished(job=name)
                | events.RunFinished(job=name)
                | events.CircuitChanged(job=name)
            ):
                found.add(name)
    return found & jobs.keys()


def forget_others(tx: Transaction, jobs: Mapping[str, InForce], after: Aftermath) -> None:
    """Of jobs that nothing is expected of any more, nothing stays late."""
    for name, job in store.late_jobs(tx):
        if name not in jobs:
            for check, one in store.late(tx, job).items():
                store.forget(tx, job, check)
                after.events.append(events.LatenessEnded(name, tx.now, check, one.since))


def watch(tx: Transaction, names: Iterable[str], jobs: Mapping[str, InForce], after: Aftermath) -> None:
    """Judge the named jobs, and say when to look again if nothing happens."""
    wanted = [jobs[name] for name in names if name in jobs]
    pauses = holds.of_queues(tx.rows) if wanted else {}
    for job in wanted:
        facts = store.facts(tx, job.ref.job, job.job.queue, pauses)
        if facts is not None:
            judged = lateness.judge(job.job, facts, tx.now)
            _latch(tx, job, judged.late, after)
            after.watched.append((job.job.name, judged.look_at))


def _latch(tx: Transaction, job: InForce, failing: Iterable[lateness.Late], after: Aftermath) -> None:
    made, before, now = job.job, store.late(tx, job.ref.job), {one.check: one for one in failing}
    for check, one in before.items():
        if check not in now:
            store.forget(tx, job.ref.job, check)
            after.events.append(events.LatenessEnded(made.name, tx.now, check, one.since, made.queue))
    for check, one in now.items():
        if not lateness.is_told(one, before.get(check)):
            store.note(tx, job.ref.job, one)
            detail = lateness.in_words(one, made)
            after.events.append(events.JobLate(made.name, tx.now, check, one.since, detail, one.run, made.queue))

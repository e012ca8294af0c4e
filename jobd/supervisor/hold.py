"""The stage that keeps jobs and queues back and lets them go: pauses, slots skipped ahead, trials of circuits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from jobd.core import due, events
from jobd.core.errors import Conflict, NotFound
from jobd.core.holds import Circuit, Pause
from jobd.core.intents import Pause as PauseIntent
from jobd.core.intents import Resume, SkipNext
from jobd.store import holds, jobs
from jobd.store.connection import Transaction
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.catalogs import InForce

_MOST_SKIPPED = 100
"""Slots that may be skipped ahead of one job: whoever wants more wants a pause."""


def pause(tx: Transaction, intent: PauseIntent, in_force: Mapping[str, InForce], after: Aftermath) -> None:
    """Let nothing of a job or queue start until somebody resumes it, or until an instant; what runs goes on."""
    made = Pause(tx.now, intent.until, intent.actor.user, intent.note)
    if intent.kind == "job":
        holds.pause_job(tx, _job(in_force, intent.name).ref.job, made)
    else:
        holds.pause_queue(tx, intent.name, made)
    after.events.append(events.Paused(intent.kind, intent.name, tx.now, made.by, made.until, made.note))


def resume(tx: Transaction, intent: Resume, in_force: Mapping[str, InForce], after: Aftermath) -> bool:
    """End the pause of a job or queue, and close the circuit of a job; False where nothing kept it back."""
    if intent.kind == "queue":
        was_held = holds.resume_queue(tx, intent.name)
    else:
        job = _job(in_force, intent.name).ref.job
        was_held = holds.resume_job(tx, job)
        if holds.circuit_of(tx, job).until is not None:
            holds.note_circuit(tx, job, Circuit())
            after.events.append(events.CircuitChanged(intent.name, tx.now))
            was_held = True
    if was_held:
        after.events.append(events.Resumed(intent.kind, intent.name, tx.now, intent.actor.user))
    return was_held


def skip_next(tx: Transaction, intent: SkipNext, in_force: Mapping[str, InForce]) -> list[datetime]:
    """Skip the next slot of a job that is not skipped already, or take all those back that are."""
    job = _job(in_force, intent.job)
    if intent.undo:
        return holds.take_back_skips(tx, job.ref.job)
    timing = jobs.timing(tx, job.ref.job, intent.job)
    if job.timetable is None or timing is None:
        raise Conflict(f"{intent.job} has no slots to skip: it is disabled or has no schedule")
    standing = due.Standing(timing.first_seen_at, timing.watermark, timing.last_slot)
    at = max(tx.now, standing.watermark)
    for _ in range(_MOST_SKIPPED):
        coming = job.timetable.next_after(at, due.anchor(standing))
        if coming is None:
            raise Conflict(f"{intent.job} has no slot to come that could be skipped")
        if holds.skip_ahead(tx, job.ref.job, coming, intent.actor.user):
            return [coming]
        at = coming
    raise Conflict(f"{_MOST_SKIPPED} slots of {intent.job} are skipped ahead already; pause it instead")


def release(tx: Transaction, after: Aftermath) -> None:
    """End the pauses whose time is over."""
    for lapsed in holds.lapse(tx):
        after.events.append(events.Resumed(lapsed.kind, lapsed.name, tx.now))


def try_again(tx: Transaction, after: Aftermath) -> None:
    """Give each job whose cooldown is over its trial: the first run that waits."""
    for name, run in holds.try_again(tx):
        after.events.append(events.CircuitChanged(name, tx.now, trial=run))


def _job(in_force: Mapping[str, InForce], name: str) -> InForce:
    job = in_force.get(name)
    if job is None:
        raise NotFound(f"there is no job {name} any more")
    return job

"""The stage that keeps jobs and queues back and lets them go: pauses, slots skipped ahead, trials of circuits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from jobd.core import due, events
from jobd.core.errors import Conflict, NotFound
from jobd.core.holds import EVERYTHING, Circuit, Pause
from jobd.core.intents import Pause as PauseIntent
from jobd.core.intents import Resume, SkipNext
from jobd.store import holds, jobs
from jobd.store.connection import Transaction
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.catalogs import InForce

_MOST_LOOKED_AT = 400
"""Slots looked at for one to skip, more than a year of days: whoever skips so many ahead wants a pause."""


def pause(tx: Transaction, intent: PauseIntent, in_force: Mapping[str, InForce], after: Aftermath) -> None:
    """Let nothing of a job or queue start until somebody resumes it, or until an instant; what runs goes on."""
    made = Pause(tx.now, intent.until, intent.actor.user, intent.note)
    if intent.kind == "job":
        holds.pause_job(tx, _job(in_force, intent.name).ref.job, made)
    else:
        holds.pause_queue(tx, intent.name, made)
    after.events.append(events.Paused(intent.kind, intent.name, tx.now, made.by, made.until, made.note))


def resume(tx: Transaction, intent: Resume, after: Aftermath) -> bool:
    """End the pause of a job or queue, and close the circuit of a job; False where nothing kept it back."""
    if intent.kind == "queue":
        was_held = holds.resume_queue(tx, intent.name)
    else:
        # One that is not defined any more may have left runs behind that wait.
        job = holds.job_id(tx, intent.name)
        if job is None:
            raise NotFound(f"there is no job {intent.name}")
        was_held = holds.resume_job(tx, job)
        if holds.circuit_of(tx, job).until is not None:
            holds.note_circuit(tx, job, Circuit())
            after.events.append(events.CircuitChanged(intent.name, tx.now))
            was_held = True
    if was_held:
        after.events.append(events.Resumed(intent.kind, intent.name, tx.now, intent.actor.user))
    return was_held


def skip_next(tx: Transaction, intent: SkipNext, in_force: Mapping[str, InForce], after: Aftermath) -> list[datetime]:
    """Skip the next slot of a job that nothing keeps back already, or take back all those that are to be skipped."""
    job, by = _job(in_force, intent.job), intent.actor.user
    if intent.undo:
        slots = holds.take_back_skips(tx, job.ref.job)
    else:
        slots = [next(slot for slot in _to_come(tx, job) if holds.skip_ahead(tx, job.ref.job, slot, by))]
    after.events += [events.SlotSkipped(intent.job, slot, tx.now, by, taken_back=intent.undo) for slot in slots]
    return slots


def _to_come(tx: Transaction, job: InForce) -> Iterator[datetime]:
    """The slots of a job that are going to start something. Raises Conflict where there is none (any more)."""
    name, timetable, timing = job.job.name, job.timetable, jobs.timing(tx, job.ref.job, job.job.name)
    if timetable is None or timing is None:
        raise Conflict(f"{name} has no slots to skip: it is disabled or has no schedule")
    standing = due.Standing(timing.first_seen_at, timing.watermark, timing.last_slot, timing.ended_at)
    at = max(tx.now, standing.watermark, _held_until(tx, job))
    coming = due.next_at(timetable, standing, tx.now, is_active=jobs.active_runs(tx, job.ref.job).any)
    if coming is None or coming <= at:
        coming = timetable.next_after(at, due.anchor(standing))
    for _ in range(_MOST_LOOKED_AT):
        if coming is None:
            raise Conflict(f"{name} has no slot to come that could be skipped")
        if timetable.bar(coming) is None:
            yield coming
        coming = timetable.next_after(coming, coming)
    raise Conflict(f"too many slots of {name} are skipped ahead already; pause it instead")


def _held_until(tx: Transaction, job: InForce) -> datetime:
    """Up to when all slots of a job are skipped anyway. Raises Conflict where that is until somebody resumes it."""
    held = holds.of_job(tx, job.ref.job, holds.of_queues(tx.rows).get(EVERYTHING))
    ends = [tx.now if held.circuit.until is None else held.circuit.until]
    for pause in (held.pause, held.everything):
        if pause is not None and pause.in_force:
            if pause.until is None:
                raise Conflict(f"{job.job.name} is paused until somebody resumes it: every slot is skipped")
            ends.append(pause.until)
    return max(ends)


def release(tx: Transaction, after: Aftermath) -> None:
    """End the pauses whose time is over, and the trials that ended without showing anything."""
    holds.forget_trials(tx)
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

"""The stage that decides due slots: each gets its row, and its run where it starts one, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from jobd.core import due, events
from jobd.core.model import RunRequest
from jobd.core.retry import default_max_attempts
from jobd.store import jobs
from jobd.store.connection import Transaction
from jobd.supervisor import apply
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.catalogs import InForce


def carry(tx: Transaction, stepped: timedelta, names: Iterable[str], in_force: Mapping[str, InForce]) -> None:
    """Let jobs that keep their pace in real time keep it over a wall clock that was set back."""
    for name in names:
        job = in_force.get(name)
        if job is None or job.timetable is None or not job.timetable.is_interval:
            continue
        timing = jobs.timing(tx, job.ref.job, name)
        moved = timing and due.carried(job.timetable, _standing(timing), stepped)
        if timing and moved:
            jobs.restand(tx, jobs.Timing(timing.job, name, moved.first_seen_at, moved.watermark, moved.last_slot))


def _standing(timing: jobs.Timing) -> due.Standing:
    return due.Standing(timing.first_seen_at, timing.watermark, timing.last_slot)


def plan(
    tx: Transaction, names: Iterable[str], in_force: Mapping[str, InForce], after: Aftermath, *, corrected: bool
) -> None:
    """Decide every slot of the named jobs up to now. `corrected` says that the clock jumped by hours since the last."""
    for name in names:
        job = in_force.get(name)
        if job is None or job.timetable is None:
            after.planned.append((name, None))
            continue
        timing = jobs.timing(tx, job.ref.job, name)
        if timing is not None:
            _plan_job(tx, job, timing, in_force, after, corrected=corrected)


def _plan_job(
    tx: Transaction,
    job: InForce,
    timing: jobs.Timing,
    in_force: Mapping[str, InForce],
    after: Aftermath,
    *,
    corrected: bool,
) -> None:
    assert job.timetable is not None
    active = jobs.active_runs(tx, job.ref.job)
    plan = due.plan(
        job.timetable,
        job.job.schedule,
        _standing(timing),
        tx.now,
        due.Active(active.waiting, active.running, job.job.max_running, active.from_slots),
        corrected=corrected,
    )
    for decision in plan.slots:
        _decide(tx, job, decision, in_force, after)
    jobs.move_watermark(tx, job.ref.job, plan.watermark, plan.last_slot)
    after.planned.append((job.job.name, plan.next_at))


def _decide(
    tx: Transaction, job: InForce, decision: due.SlotDecision, in_force: Mapping[str, InForce], after: Aftermath
) -> None:
    """Write one slot down and start its run; one that was decided before is left alone."""
    if not jobs.add_slot(tx, job.ref.job, decision.slot, decision.disposition, None, decision.reason):
        return
    run = None
    if decision.starts:
        for old in decision.replaces:
            apply.cancel_run(tx, old, "replaced by a later slot", after)
        run = _start(tx, job, decision, in_force, after)
        jobs.link_slot(tx, job.ref.job, decision.slot, run)
    after.events.append(
        events.SlotDecided(
            job=job.job.name,
            slot=decision.slot,
            at=tx.now,
            disposition=decision.disposition,
            run=run if run is not None else decision.blocked_by,
            reason=decision.reason,
            lag_seconds=(tx.now - decision.slot).total_seconds(),
        )
    )


def _start(
    tx: Transaction, job: InForce, decision: due.SlotDecision, in_force: Mapping[str, InForce], after: Aftermath
) -> int:
    definition = job.job
    request = RunRequest(
        job=definition,
        trigger=decision.trigger,
        payload=definition.payload,
        queue=definition.queue,
        priority=definition.priority,
        slot=decision.slot,
        max_attempts=default_max_attempts(definition, decision.trigger),
    )
    (accepted,) = apply.accept(tx, (request,), in_force, after)
    return accepted.id

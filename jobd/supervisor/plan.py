"""The stage that decides due slots: each gets its row, and its run where it starts one, in the same transaction."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import datetime, timedelta

from jobd.core import due, events
from jobd.core.model import RunRequest
from jobd.core.retry import default_max_attempts
from jobd.store import jobs, recovery, runs
from jobd.store.connection import Transaction
from jobd.supervisor.accept import Families, accept, accept_family
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.cancel import cancel_run
from jobd.supervisor.catalogs import Host, InForce, standing_of


def carry(tx: Transaction, stepped: timedelta, in_force: Mapping[str, InForce], host: Host) -> None:
    """Let what keeps its pace in real time keep it over a wall clock that was set: `every`, retries, attempts."""
    recovery.shift_clock(tx, stepped)
    runs.carry(tx, stepped)
    for name, job in in_force.items():
        if job.timetable is None or not job.timetable.goes_by_real_time:
            continue
        timing = jobs.timing(tx, job.ref.job, name)
        moved = timing and due.carried(job.timetable, standing_of(timing, host), stepped)
        if timing and moved:
            jobs.restand(tx, timing.job, moved)


def stirred(happened: Iterable[events.Event], in_force: Mapping[str, InForce]) -> list[str]:
    """The jobs that are due after their last run and had one accepted or ended just now."""
    names = {one.job for one in happened if isinstance(one, events.RunAccepted | events.RunFinished)}
    known = ((name, in_force.get(name)) for name in names)
    return [name for name, job in known if job and job.timetable and job.timetable.after is not None]


def plan(
    tx: Transaction,
    names: Iterable[str],
    in_force: Mapping[str, InForce],
    host: Host,
    after: Aftermath,
    *,
    since: datetime,
    corrected: bool,
) -> None:
    """Decide every slot of the named jobs up to now; `since` is when that was done last, as the clock is now.

    `corrected` says that the clock jumped by hours meanwhile.
    """
    for name in names:
        job = in_force.get(name)
        if job is None or job.timetable is None:
            after.planned.append((name, None))
            continue
        timing = jobs.timing(tx, job.ref.job, name)
        if timing is not None:
            _plan_job(tx, job, timing, in_force, host, after, since=since, corrected=corrected)


def _plan_job(
    tx: Transaction,
    job: InForce,
    timing: jobs.Timing,
    in_force: Mapping[str, InForce],
    host: Host,
    after: Aftermath,
    *,
    since: datetime,
    corrected: bool,
) -> None:
    assert job.timetable is not None
    standing = due.current(job.timetable, standing_of(timing, host), tx.now)
    plan = _planned(tx, job, standing, since=since, corrected=corrected)
    if len(plan.slots) > 1 and (decided := jobs.decided(tx, job.ref.job, plan.slots[0].slot)):
        plan = _planned(tx, job, standing, since=since, corrected=corrected, decided=decided)
    for decision in plan.slots:
        _decide(tx, job, decision, in_force, after)
    jobs.move_watermark(tx, job.ref.job, plan.watermark, plan.last_slot, next_slot=plan.next_at, boot_id=host.boot_id)
    after.planned.append((job.job.name, plan.next_at))


def _planned(
    tx: Transaction,
    job: InForce,
    standing: due.Standing,
    *,
    since: datetime,
    corrected: bool,
    decided: Container[datetime] = (),
) -> due.Plan:
    assert job.timetable is not None
    active = jobs.active_runs(tx, job.ref.job)
    return due.plan(
        job.timetable,
        job.job.schedule,
        standing,
        tx.now,
        due.Active(active.waiting, active.running, job.job.max_running, active.from_slots),
        corrected=corrected,
        decided=decided,
        since=since,
    )


def _decide(
    tx: Transaction, job: InForce, decision: due.SlotDecision, in_force: Mapping[str, InForce], after: Aftermath
) -> None:
    """Write one slot down and start its run; one that was decided before is left alone."""
    if not jobs.add_slot(tx, job.ref.job, decision.slot, decision.disposition, None, decision.reason):
        return
    run = None
    if decision.starts:
        for old in decision.replaces:
            cancel_run(tx, old, "replaced by a later slot", after)
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
    if definition.workflow:
        return accept_family(tx, request, Families(in_force).as_far_as_there(definition), in_force, after).id
    (accepted,) = accept(tx, (request,), in_force, after)
    return accepted.id

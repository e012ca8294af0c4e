"""The stage that decides due slots: each gets its row, and its run where it starts one, in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobd.core import due, events
from jobd.core.holds import EVERYTHING, Holds, Pause
from jobd.core.model import RunRequest
from jobd.core.retry import default_max_attempts
from jobd.core.states import Disposition
from jobd.store import holds, jobs, recovery, runs, submits
from jobd.store.connection import Transaction
from jobd.supervisor.accept import Families, accept, accept_family
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.cancel import cancel_run
from jobd.supervisor.catalogs import Host, InForce, standing_of
from jobd.supervisor.lanes import NONE_DRAINED, drained, hold_of
from jobd.supervisor.quarantine import Quarantine
from jobd.supervisor.twice import slot_twice


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
    names: Collection[str],
    in_force: Mapping[str, InForce],
    host: Host,
    after: Aftermath,
    *,
    quarantine: Quarantine,
    since: datetime,
    corrected: bool,
) -> None:
    """Decide every slot of the named jobs up to now; `since` is when that was done last, as the clock is now.

    `corrected` says that the clock jumped by hours meanwhile.
    """
    sheet, everything, closed = Sheet(tx, in_force, after), None, NONE_DRAINED
    if names:
        everything, closed = holds.of_queues(tx.rows).get(EVERYTHING), drained(tx)
    for name in names:
        job = in_force.get(name)
        if job is None or job.timetable is None:
            after.planned.append((name, None))
            continue
        timing = jobs.timing(tx, job.ref.job, name)
        if timing is not None:
            held = everything or hold_of(closed, job.job.queue)
            quarantine.plans(job.defined)
            _plan_job(sheet, job, timing, host, everything=held, since=since, corrected=corrected)
    sheet.write()


def _plan_job(
    sheet: Sheet,
    job: InForce,
    timing: jobs.Timing,
    host: Host,
    *,
    everything: Pause | None,
    since: datetime,
    corrected: bool,
) -> None:
    assert job.timetable is not None
    tx = sheet.tx
    standing = due.current(job.timetable, standing_of(timing, host), tx.now)
    held = holds.of_job(tx, job.ref.job, everything)
    plan = _planned(tx, job, standing, held, since=since, corrected=corrected)
    if len(plan.slots) > 1 and (decided := jobs.decided(tx, job.ref.job, plan.slots[0].slot)):
        plan = _planned(tx, job, standing, held, since=since, corrected=corrected, decided=decided)
    for decision in plan.slots:
        sheet.decide(job, decision)
    jobs.move_watermark(tx, job.ref.job, plan.watermark, plan.last_slot, next_slot=plan.next_at, boot_id=host.boot_id)
    sheet.after.planned.append((job.job.name, plan.next_at))


def _planned(
    tx: Transaction,
    job: InForce,
    standing: due.Standing,
    held: Holds,
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
        bar=lambda slot: held.bar(slot, tx.now),
        corrected=corrected,
        decided=decided,
        since=since,
    )


@dataclass(slots=True)
class Sheet:
    """The slots that one tick decides; their runs are written down together, which takes half the time."""

    tx: Transaction
    in_force: Mapping[str, InForce]
    after: Aftermath
    _first: int = 0
    """The id of the first run that waits to be written down, where one does."""
    _requests: list[RunRequest] = field(default_factory=list)
    _decided: list[events.SlotDecided] = field(default_factory=list)

    def decide(self, job: InForce, decision: due.SlotDecision) -> None:
        """Write one slot down and start its run; one that was decided before is left alone."""
        run = self._next_run(job) if decision.starts else None
        if not jobs.add_slot(self.tx, job.ref.job, decision.slot, decision.disposition, run, decision.reason):
            return
        if run is not None:
            for old in decision.replaces:
                cancel_run(self.tx, old, "replaced by a later slot", self.after)
            request = _request(job, decision)
            if not self._start(request):
                decision, run = self._skip(job, decision, request), None
        self._decided.append(_told(job, decision, run, self.tx.now))

    def write(self) -> None:
        """Accept the runs that wait, and tell of the slots since the last time."""
        if self._requests:
            accept(self.tx, self._requests, self.in_force, self.after)
        self.after.events += self._decided
        self._requests, self._decided = [], []

    def _next_run(self, job: InForce) -> int:
        """The id that the next run gets. Those that wait come first; a family or a unique run cannot wait with them."""
        if job.job.workflow or job.job.unique:
            self.write()
        if not self._requests:
            self._first = submits.next_id(self.tx)
        return self._first + len(self._requests)

    def _start(self, request: RunRequest) -> bool:
        """Accept a run, now or with others; False where its unique key is taken."""
        if request.job.workflow:
            family = Families(self.in_force).as_far_as_there(request.job)
            return accept_family(self.tx, request, family, self.in_force, self.after) is not None
        if request.unique:
            return bool(accept(self.tx, (request,), self.in_force, self.after))
        self._requests.append(request)
        return True

    def _skip(self, job: InForce, decision: due.SlotDecision, request: RunRequest) -> due.SlotDecision:
        """Say in the slot's row that another run holds the key of its run."""
        holder, reason = slot_twice(self.tx, request)
        jobs.skip_slot(self.tx, job.ref.job, decision.slot, reason)
        return replace(decision, disposition=Disposition.SKIPPED, reason=reason, blocked_by=holder)


def _request(job: InForce, decision: due.SlotDecision) -> RunRequest:
    definition = job.job
    return RunRequest(
        job=definition,
        trigger=decision.trigger,
        payload=definition.payload,
        queue=definition.queue,
        priority=definition.priority,
        slot=decision.slot,
        unique=definition.unique,
        max_attempts=default_max_attempts(definition, decision.trigger),
    )


def _told(job: InForce, decision: due.SlotDecision, run: int | None, now: datetime) -> events.SlotDecided:
    return events.SlotDecided(
        job=job.job.name,
        slot=decision.slot,
        at=now,
        disposition=decision.disposition,
        run=run if run is not None else decision.blocked_by,
        reason=decision.reason,
        lag_seconds=(now - decision.slot).total_seconds(),
    )

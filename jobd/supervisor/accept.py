"""Writes accepted runs down: each with the runs that its job's workflow brings along, and with what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobd.core import events
from jobd.core.errors import Conflict, NotFound
from jobd.core.intents import Accepted, Actor
from jobd.core.model import Job, RunRequest
from jobd.core.retry import default_max_attempts
from jobd.core.roles import Role
from jobd.core.states import Trigger
from jobd.core.workflow import Family, Member, Tangled, family
from jobd.store import edges, jobs, runs, submits
from jobd.store.connection import Transaction
from jobd.store.edges import Edge
from jobd.store.submits import JobRef
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.cancel import cancel_waiting, skip
from jobd.supervisor.catalogs import InForce
from jobd.supervisor.follow import follow_runs


@dataclass(slots=True)
class Families:
    """The families that jobs in force bring along, each found once."""

    in_force: Mapping[str, InForce]
    _known: dict[str, Family] = field(default_factory=dict)

    def of(self, job: Job) -> Family:
        """Raises Conflict where a family cannot be had whole."""
        found = self._known.get(job.name)
        if found is None or found.members[0].job is not job:
            found = self._known[job.name] = family(job, self._find)
        for one, step in found.missing:
            raise Conflict(f'{one.name} names "{step.name}" in {step.key}, and there is no such job (any more)')
        return found

    def as_far_as_there(self, job: Job) -> Family:
        """The same for a schedule, which is told no: a run that cannot be had whole is cancelled, or goes without."""
        try:
            return family(job, self._find)
        except Tangled as tangled:
            return Family((Member(job),), lacking=((0, f"its workflow {tangled}"),))

    def _find(self, name: str) -> Job | None:
        known = self.in_force.get(name)
        return None if known is None else known.job


def brings_others(request: RunRequest) -> bool:
    """Whether there is more to write down than the run itself."""
    return bool(request.job.workflow or request.depends_on)


def accept(
    tx: Transaction, requests: Sequence[RunRequest], in_force: Mapping[str, InForce], after: Aftermath
) -> list[Accepted]:
    """Write runs down as they are asked for, and nothing with them; none where the unique key of the first is taken."""
    refs = [(request, ref_of(tx, request, in_force)) for request in requests]
    found = []
    for run, request in zip(submits.submit(tx, refs), requests, strict=False):
        name = request.job.name
        after.events.append(events.RunAccepted(run, name, request.queue, request.trigger, tx.now, request.owner))
        found.append(Accepted(run, submits.first_state(request, tx.now)))
    return found


def accept_family(
    tx: Transaction,
    request: RunRequest,
    whole: Family,
    in_force: Mapping[str, InForce],
    after: Aftermath,
    actor: Actor | None = None,
) -> Accepted | None:
    """Write a run down with its family, or nothing where its unique key is taken.

    What it depends on is there (`check_dependencies`).
    """
    first = submits.next_id(tx)
    if not accept(tx, [*_requests(request, whole, first)], in_force, after):
        return None
    edges.add(tx, [*_edges(tx, request, whole, first, actor)])
    begun = len(after.final)
    for place, reason in whole.lacking:
        cancel_waiting(tx, first + place, reason, after)
    for place, member in enumerate(whole.members):
        if not member.job.enabled:
            skip(tx, first + place, f"{member.job.name} is disabled", after)
    follow_runs(tx, [*(one.run for one in request.depends_on), *after.final[begun:]], after)
    known = runs.state_of(tx, first)
    assert known is not None
    return Accepted(first, known[0])


def check_jobs(requests: Sequence[RunRequest], in_force: Mapping[str, InForce]) -> None:
    """Raises NotFound for a job that went away since its submission was checked."""
    for request in requests:
        if not request.adhoc and request.job.name not in in_force:
            raise NotFound(f"there is no job {request.job.name} any more")


def check_dependencies(tx: Transaction, requests: Sequence[RunRequest]) -> None:
    """Raises NotFound for a run that is to be waited for and is not there."""
    for request in requests:
        for one in request.depends_on:
            if runs.state_of(tx, one.run) is None:
                gone = "it never was, or its history has been pruned"
                raise NotFound(f"depends_on: there is no run {one.run} ({gone}); nothing was submitted")


def _requests(root: RunRequest, whole: Family, first: int) -> Iterator[RunRequest]:
    for place, member in enumerate(whole.members):
        parent = first + member.parents[0][0] if member.parents else None
        if place:
            yield _request(member.job, root, parent)
        else:
            yield replace(root, parent=root.depends_on[0].run if parent is None and root.depends_on else parent)


def _request(job: Job, root: RunRequest, parent: int | None) -> RunRequest:
    """A run that another one brings along: everything is its own job's but the time and the owner.

    Where nobody asked for the first by hand, nobody asked for this one: it has the attempts of a run that was fired.
    It is as unique as the run that brings it along, and holds no key of its own.
    """
    return RunRequest(
        job=job,
        trigger=Trigger.WORKFLOW,
        payload=job.payload,
        queue=job.queue,
        priority=job.priority,
        run_at=root.run_at,
        max_attempts=default_max_attempts(job, root.trigger),
        owner=root.owner,
        parent=parent,
        trace=root.trace,
    )


def _edges(tx: Transaction, root: RunRequest, whole: Family, first: int, actor: Actor | None) -> Iterator[Edge]:
    for place, member in enumerate(whole.members):
        for parent, condition in member.parents:
            yield Edge(first + parent, first + place, condition)
    for one in root.depends_on:
        yield Edge(one.run, first, one.on, hands=_may_see(tx, one.run, actor))


def _may_see(tx: Transaction, run: int, actor: Actor | None) -> bool:
    """Whether a run's result may be handed to what this actor submits: waiting for another's run is no way to it."""
    known = runs.state_of(tx, run)
    return actor is None or actor.role >= Role.OPERATOR or (known is not None and actor.owns(known[1]))


def ref_of(tx: Transaction, request: RunRequest, in_force: Mapping[str, InForce]) -> JobRef:
    """Where a request's definition stands in the store; one that was in force before is kept for its run."""
    if request.adhoc:
        return JobRef(jobs.ADHOC, jobs.keep_spec(tx, request.job))
    known = in_force[request.job.name]
    if known.job is request.job:
        return known.ref
    return JobRef(known.ref.job, jobs.keep_spec(tx, request.job))

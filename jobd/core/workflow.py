"""Workflow from one primitive, the edge (parent run, child run, condition): what an edge decides, and which runs a run
of a job brings along (SEMANTICS, Workflow).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from jobd.core.errors import Conflict
from jobd.core.model import Job
from jobd.core.names import closest
from jobd.core.states import FINAL, Condition, RunState

MOST_MEMBERS = 500
"""Runs of one family at most, so that a few lines of YAML cannot make a million runs."""
MOST_DEPTH = 32
"""Jobs that bring each other along at most."""

Find = Callable[[str], Job | None]
"""A job by its name; None where there is none."""


def holds(condition: Condition, parent: RunState) -> bool | None:
    """Whether a parent in this state lets its child go: never again for False, not known yet for None.

    A parent that was cancelled, skipped or expired has neither succeeded nor failed: `always` alone holds.
    """
    if parent not in FINAL:
        return None
    match condition:
        case Condition.SUCCESS:
            return parent is RunState.SUCCEEDED
        case Condition.FAILURE:
            return parent is RunState.FAILED
        case Condition.ALWAYS:
            return True


def broken(condition: Condition, parent: int, name: str, state: RunState) -> str:
    """Why a child is cancelled: the reason that stands with it."""
    return f"waited for the {condition} of run {parent} ({name}), which {_ended(state)}"


def _ended(state: RunState) -> str:
    return state.value if state in (RunState.SUCCEEDED, RunState.FAILED, RunState.EXPIRED) else f"was {state}"


@dataclass(frozen=True, slots=True)
class Step:
    """A job that another one names: under which key, and where in its list."""

    key: str
    index: int
    name: str

    def __str__(self) -> str:
        return f"{self.key}[{self.index}]"


def steps(job: Job) -> Iterator[Step]:
    """Every job that a job brings along, in the order in which their runs are made."""
    flow = job.workflow
    named = (
        ("needs", flow.needs),
        ("then", flow.then),
        ("chain", flow.chain),
        ("catch", flow.catch),
        ("finally", flow.finally_),
    )
    for key, names in named:
        for index, name in enumerate(names):
            yield Step(key, index, name)


@dataclass(frozen=True, slots=True)
class Member:
    """One run of a family: of which job, and the members it waits for, by their places in the family."""

    job: Job
    parents: tuple[tuple[int, Condition], ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """The runs that one run brings along, itself first."""

    members: tuple[Member, ...]
    missing: tuple[tuple[Job, Step], ...] = ()
    """Where a member names a job that is not there: that run, and what comes after it, is left out."""
    lacking: tuple[tuple[int, str], ...] = ()
    """(place, reason) of members that need a job that is not there, and so can never start."""


class Tangled(Conflict):
    """The jobs of a family bring each other along in a circle, or are too many. `circle` are the steps of a circle."""

    def __init__(self, message: str, circle: tuple[tuple[Job, Step], ...] = ()) -> None:
        super().__init__(message)
        self.circle = circle


def family(job: Job, find: Find) -> Family:
    """The runs that a run of `job` brings along. Raises Tangled.

    What several members need is made once, and all of them wait for it; what `then` and its kin name is made anew for
    each member that names it.
    """
    builder = _Builder(find)
    builder.add(job, None)
    parents = builder.parents
    members = tuple(Member(one, tuple(parents[place])) for place, one in enumerate(builder.jobs))
    return Family(members, tuple(builder.missing), tuple(builder.lacking))


@dataclass(slots=True)
class _Builder:
    """Adds one member after the other, each with its own family, deepest first."""

    find: Find
    jobs: list[Job] = field(default_factory=list)
    parents: list[list[tuple[int, Condition]]] = field(default_factory=list)
    missing: list[tuple[Job, Step]] = field(default_factory=list)
    lacking: list[tuple[int, str]] = field(default_factory=list)
    _needed: dict[str, int] = field(default_factory=dict)
    _path: list[tuple[Job, Step]] = field(default_factory=list)
    """The steps that lead to the member in hand."""

    def add(self, job: Job, parent: tuple[int, Condition] | None) -> int:
        """Add a member and all that it brings along; its place."""
        if len(self.jobs) >= MOST_MEMBERS:
            raise Tangled(f"brings along more than {MOST_MEMBERS} runs (name fewer jobs, or submit some from a job)")
        place = len(self.jobs)
        self.jobs.append(job)
        self.parents.append([] if parent is None else [parent])
        before, broke = place, False
        for step in steps(job):
            if step.key == "needs":
                self._need(job, place, step)
            elif step.key != "chain":
                self._follow(job, step, place, _CONDITIONS[step.key])
            elif not broke:
                after = self._follow(job, step, before, Condition.SUCCESS)
                before, broke = (before, True) if after is None else (after, False)
        return place

    def _need(self, job: Job, place: int, step: Step) -> None:
        needed = self._needed.get(step.name)
        if needed is None:
            needed = self._follow(job, step, None, Condition.SUCCESS)
            if needed is None:
                self.lacking.append((place, f'needs the job "{step.name}", which is not there'))
                return
            self._needed[step.name] = needed
        if (needed, Condition.SUCCESS) not in self.parents[place]:
            self.parents[place].append((needed, Condition.SUCCESS))

    def _follow(self, job: Job, step: Step, parent: int | None, on: Condition) -> int | None:
        """Add the member that a step names; None where there is no such job."""
        found = self.find(step.name)
        if found is None:
            self.missing.append((job, step))
            return None
        self._path.append((job, step))
        self._check_path(found)
        place = self.add(found, None if parent is None else (parent, on))
        self._path.pop()
        return place

    def _check_path(self, job: Job) -> None:
        names = [one.name for one, _ in self._path]
        if job.name in names:
            circle = tuple(self._path[names.index(job.name) :])
            raise Tangled(f"makes a circle: {shown(circle)}", circle)
        if len(names) > MOST_DEPTH:
            raise Tangled(f"brings along jobs that bring along jobs, more than {MOST_DEPTH} deep (make it flatter)")


_MOST_HINTS = 20
_CONDITIONS = {"then": Condition.SUCCESS, "catch": Condition.FAILURE, "finally": Condition.ALWAYS}


def shown(circle: tuple[tuple[Job, Step], ...]) -> str:
    """A circle spelled out: `a → b (then) → a (needs)`."""
    return " → ".join([circle[0][0].name, *(f"{step.name} ({step.key})" for _, step in circle)])


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the workflow of a job, at one step where it is that step's."""

    job: Job
    step: Step | None
    message: str
    lacks: bool = False
    """The step names a job that is not there."""


def faults(jobs: Mapping[str, Job]) -> Iterator[Fault]:
    """Everything that is wrong among the workflows of all jobs; each circle is told of every job on it."""
    hints, sizes = _Hints(jobs), _Sizes(jobs)
    for job in jobs.values():
        if not job.workflow:
            continue
        unknown = [step for step in steps(job) if step.name not in jobs]
        for step in unknown:
            yield Fault(job, step, f'there is no job "{step.name}"{hints.of(step.name)}', lacks=True)
        if not unknown and not sizes.are_small(job):
            yield from _tangles(job, jobs.get)


@dataclass(slots=True)
class _Sizes:
    """How many runs jobs bring along at most and how deep, each counted once: most families need no closer look."""

    jobs: Mapping[str, Job]
    _known: dict[str, tuple[int, int]] = field(default_factory=dict)

    def are_small(self, job: Job) -> bool:
        """Whether the family of a job is surely within its bounds, and so in no circle."""
        found = self._of(job, 0)
        return found is not None and found[0] <= MOST_MEMBERS and found[1] <= MOST_DEPTH

    def _of(self, job: Job, depth: int) -> tuple[int, int] | None:
        """(runs, levels below) of a job; None where it is too deep to tell, as a circle is."""
        if job.name in self._known:
            return self._known[job.name]
        if depth > MOST_DEPTH:
            return None
        runs, below = 1, 0
        for step in steps(job):
            named = self.jobs.get(step.name)
            found = self._of(named, depth + 1) if named is not None else (0, 0)
            if found is None:
                return None
            runs, below = runs + found[0], max(below, found[1] + 1)
        self._known[job.name] = (runs, below)
        return runs, below


def _tangles(job: Job, find: Find) -> Iterator[Fault]:
    try:
        family(job, find)
    except Tangled as tangled:
        if not tangled.circle:
            yield Fault(job, None, str(tangled))
        elif (step := next((step for one, step in tangled.circle if one.name == job.name), None)) is not None:
            yield Fault(job, step, str(tangled))


@dataclass(slots=True)
class _Hints:
    """What may have been meant by names that no job has: looked for a few times only, as each look reads all names."""

    names: Iterable[str]
    _found: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        if name not in self._found:
            near = closest(name, self.names) if len(self._found) < _MOST_HINTS else None
            self._found[name] = f' (did you mean "{near}"?)' if near else " (jobd-ctl jobs lists them)"
        return self._found[name]

"""What only all definitions together can show: workflows that name jobs that are not there, or run in a circle."""

from __future__ import annotations

from collections.abc import Mapping

from jobd.core import workflow
from jobd.core.workflow import Fault
from jobd.definitions.defined import Defined
from jobd.definitions.problems import Problem


def refuse(jobs: dict[str, Defined], previous: Mapping[str, Defined], *, are_all: bool = True) -> list[Problem]:
    """Take out of `jobs` what cannot be in force because of its workflow, and say why.

    A job that was in force stays as it was: a backup does not stop because the job that is to follow it went away.
    Where these are not all jobs there are, one that is missing is no problem.
    """
    problems: dict[tuple[str, str], Problem] = {}
    settled: set[str] = set()
    while found := [fault for fault in _faults(jobs) if (fault.job.name not in settled and are_all) or not fault.lacks]:
        for fault in found:
            problem = _problem(jobs[fault.job.name], fault, settled)
            problems.setdefault((fault.job.name, problem.path), problem)
        for name in {fault.job.name for fault in found}:
            # One that is still on a circle when all others are as they were before cannot be in force at all.
            if name in previous and name not in settled:
                jobs[name] = previous[name]
            else:
                del jobs[name]
            settled.add(name)
    return list(problems.values())


def missing(jobs: Mapping[str, Defined]) -> list[Problem]:
    """The names that no job here has."""
    return [_problem(jobs[fault.job.name], fault, set()) for fault in _faults(jobs) if fault.lacks]


def _problem(one: Defined, fault: Fault, refused: set[str]) -> Problem:
    key = fault.step.key if fault.step else _first(fault)
    path = f"jobs.{one.job.name}.{fault.step or key}"
    return Problem(one.place(key), path, _message(fault, refused))


def _faults(jobs: Mapping[str, Defined]) -> list[Fault]:
    if not any(one.job.workflow for one in jobs.values()):
        return []
    return list(workflow.faults({name: one.job for name, one in jobs.items()}))


def _first(fault: Fault) -> str:
    return next(step.key for step in workflow.steps(fault.job))


def _message(fault: Fault, refused: set[str]) -> str:
    if fault.lacks and fault.step is not None and fault.step.name in refused:
        return f'names "{fault.step.name}", which is refused itself'
    return fault.message

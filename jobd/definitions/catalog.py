"""The jobs in force with all that is wrong beside them, as a value, and what differs between two such values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from jobd.definitions import relations
from jobd.definitions.defined import Defined
from jobd.definitions.problems import Place, Problem

__all__ = ["Catalog", "Contribution", "Defined", "Difference", "assemble", "diff"]


@dataclass(frozen=True, slots=True)
class Catalog:
    """The jobs in force by name, and why others are not."""

    jobs: Mapping[str, Defined] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """Problems of files whose last good jobs, if there are any, stay in force."""
    degraded: tuple[tuple[str, str], ...] = ()
    """(machine word, sentence) where the directories cannot tell what is defined."""

    @property
    def bad_files(self) -> frozenset[str]:
        return frozenset(problem.place.file for problem in self.problems)


class Contribution(NamedTuple):
    """What one file adds to the catalog."""

    jobs: tuple[Defined, ...]
    problems: tuple[Problem, ...]
    is_absent: bool = False
    """The file is gone, and its jobs are only kept until that is certain: another file may take them over."""


class Difference(NamedTuple):
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def diff(old: Catalog, new: Catalog) -> Difference:
    """The names of jobs that differ; a job that only moved to another file or line is the same."""
    added = tuple(name for name in new.jobs if name not in old.jobs)
    changed = tuple(name for name, one in new.jobs.items() if name in old.jobs and old.jobs[name].job != one.job)
    removed = tuple(name for name in old.jobs if name not in new.jobs)
    return Difference(added, changed, removed)


def assemble(
    contributions: Iterable[Contribution],
    previous: Mapping[str, Defined],
    degraded: Iterable[tuple[str, str]] = (),
    *,
    are_all: bool = True,
) -> Catalog:
    """One catalog of all files.

    A name that two files define is refused in both, and so is a workflow that cannot be; what was in force stays.
    Where these are not all files there are, a workflow may name jobs of others.
    """
    jobs: dict[str, Defined] = {}
    held: dict[str, Defined] = {}
    disputed: dict[str, list[Defined]] = {}
    problems: list[Problem] = []
    for contribution in contributions:
        problems += contribution.problems
        into = held if contribution.is_absent else jobs
        for one in contribution.jobs:
            name = one.job.name
            if name in into and not contribution.is_absent:
                disputed.setdefault(name, [into[name]]).append(one)
            into.setdefault(name, one)
    for name, claimants in disputed.items():
        problems += _dispute(claimants, stays=name in previous)
        if name in previous:
            jobs[name] = previous[name]
        else:
            del jobs[name]
    jobs = {**held, **jobs}
    problems += relations.refuse(jobs, previous, are_all=are_all)
    return Catalog(jobs, tuple(problems), tuple(degraded))


def _dispute(claimants: list[Defined], *, stays: bool) -> list[Problem]:
    end = "the one in force before stays" if stays else "none is in force"
    return [
        Problem(
            Place(one.file, one.line, one.column),
            f"jobs.{one.job.name}",
            f"is also defined in {_others(one, claimants)}; {end} (rename one)",
        )
        for one in claimants
    ]


def _others(one: Defined, claimants: list[Defined]) -> str:
    return " and ".join(f"{other.file}:{other.line}" for other in claimants if other is not one)

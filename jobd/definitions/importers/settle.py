"""From drafts to jobs that jobd accepts: names are given, and whatever this jobd refuses is taken out and named.

jobd itself is asked, by its own check; so a word that a later version has is kept by it without a change here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from jobd.core.model import Job
from jobd.definitions.importers import emit, naming
from jobd.definitions.importers.drafts import Draft, Imported
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.parse import parse
from jobd.definitions.problems import Malformed, Problem

_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]", re.ASCII)
_SHARED = (
    *("timezone", "user", "cwd", "env", "timeout", "catch_up", "catch_up_window", "overlap", "allow_background"),
    "limits",
)
_ROUNDS = 64
_VITAL = ("user", "group", "timezone")
"""Without these a job would do its work as somebody else, or at another time: it is not enabled then."""


def settle(drafts: Iterable[Draft], rules: Rules, taken: Container[str] = ()) -> tuple[Imported, ...]:
    """The jobs of some drafts, in order; none is named as one that is taken."""
    found: list[Imported] = []
    names: set[str] = set()
    for draft in drafts:
        name = naming.name(draft.hints, _Both(names, taken))
        names.add(name)
        found.append(_settled(draft, name, rules))
    return tuple(found)


class _Both:
    def __init__(self, *parts: Container[str]) -> None:
        self._parts = parts

    def __contains__(self, name: object) -> bool:
        return any(name in part for part in self._parts)


def _settled(draft: Draft, name: str, rules: Rules) -> Imported:
    words = copy.deepcopy(dict(draft.words))
    problems = [Problem(problem.place, f"jobs.{name}", problem.message) for problem in draft.problems]
    for _ in range(_ROUNDS):
        judged = _judged(name, words, rules)
        if isinstance(judged, Job):
            return Imported(name, draft.place, words, judged, tuple(problems), draft.old)
        for problem in judged:
            value = _take_out(words, problem.path.removeprefix(f"jobs.{name}"))
            key = problem.path.removeprefix(f"jobs.{name}").lstrip(".") or "the job"
            if key in _VITAL:
                words["enabled"] = False
            problems.append(
                Problem(draft.place, f"jobs.{name}", f"{key}: {_shown(value)} is left out: {problem.message}")
            )
    raise AssertionError(f"jobd refuses {words!r} again and again")


def _judged(name: str, words: Mapping[str, Any], rules: Rules) -> Job | list[Problem]:
    """The job that jobd makes of the words, or why it makes none."""
    text = emit.document([(name, words, ())], {})
    try:
        node = parse(text.encode(), name)
        assert node is not None
        return interpret(node, (), rules)[0].job
    except Malformed as malformed:
        # The last item of a list first, so that the places of the others stay what they are.
        return sorted(malformed.problems, key=lambda problem: _STEP.findall(problem.path), reverse=True)


def _take_out(words: dict[str, Any], path: str) -> Any:
    """Remove what a dotted path leads to, and what is empty without it."""
    steps: list[str | int] = [int(index) if index else key for key, index in _STEP.findall(path)]
    if not steps:
        # The job as a whole is refused: it says nothing to run that jobd could run.
        words["command"], words["enabled"] = ["true"], False
        return "what it runs"
    holders: list[Any] = [words]
    for step in steps[:-1]:
        holders.append(holders[-1][step])
    if (isinstance(holders[-1], dict) and steps[-1] not in holders[-1]) or not isinstance(holders[-1], dict | list):
        return words.pop(str(steps[0]), None)
    value = holders[-1].pop(steps[-1])  # type: ignore[arg-type,unused-ignore]
    for holder, step in zip(reversed(holders[:-1]), reversed(steps[:-1]), strict=True):
        if not holder[step]:
            del holder[step]
    return value


def _shown(value: Any) -> str:
    return emit.flow(value)


def text(jobs: Sequence[Imported], head: str = "") -> str:
    """The jobs as one file of definitions, what they do not say in comments above each."""
    shared = _common(jobs)
    return emit.document([(job.name, job.words, _remarks(job)) for job in jobs], shared, head)


def _common(jobs: Sequence[Imported]) -> dict[str, Any]:
    if len(jobs) < 2:
        return {}
    first = jobs[0].words
    return {
        key: first[key]
        for key in _SHARED
        if key in first and all(key in job.words and job.words[key] == first[key] for job in jobs)
    }


def _remarks(job: Imported) -> list[str]:
    return [
        f"from {job.place.file}:{job.place.line}",
        *(f"not the same: {problem.place.file}:{problem.place.line}: {problem.message}" for problem in job.problems),
    ]

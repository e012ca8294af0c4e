"""What a job runs: the one key that names a kind of work, judged by the executor of that kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobd.core import executors
from jobd.core.brought import Unusable
from jobd.core.executors import Fault, Misread
from jobd.core.model import Action
from jobd.definitions import payloads, schema
from jobd.definitions.parse import Node
from jobd.definitions.problems import Problem
from jobd.definitions.schema import JobWords
from jobd.definitions.schema.explain import child

_OWN = frozenset(field.alias or name for name, field in JobWords.model_fields.items())
"""Every key that names no kind of work."""


def taken_apart(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys that name a kind of work, and the others, which mean the same whatever runs."""
    kinds = {key: value for key, value in document.items() if key not in _OWN and executors.is_kind(key)}
    rest = {key: value for key, value in document.items() if key not in kinds}
    return {kind: value for kind, value in kinds.items() if value is not None}, rest


def action(given: Mapping[str, Any]) -> Action:
    """What a job runs that gives these keys. Raises ValueError where that is not exactly one, Misread for its value.

    The steps of a Misread begin with the key.
    """
    if not given:
        raise ValueError(f"says nothing to run (give one of {', '.join(executors.BUILT_IN)})")
    if len(given) > 1:
        raise ValueError(f"gives {' and '.join(given)}, and can have only one (null takes one away)")
    ((kind, value),) = given.items()
    return read(kind, value)


def read(kind: str, value: Any) -> Action:
    """What the value of one key stands for. Raises Misread; its steps begin with the key."""
    try:
        executor = executors.find(kind)
        found = [] if kind in executors.BUILT_IN else payloads.faults(executor.schema, value)
        if not found:
            return executor.action(kind, value)
    except Misread as misread:
        found = list(misread.faults)
    except (ValueError, Unusable) as error:
        found = [([], str(error))]
    raise Misread(*[([kind, *steps], message) for steps, message in found])


def problems_of(misread: Misread, node: Node, path: str) -> list[Problem]:
    """What is wrong with the words of a kind of work, each at its place below `node`."""
    return [problem_at(node, path, fault) for fault in misread.faults]


def problem_at(node: Node, path: str, fault: Fault) -> Problem:
    """A fault at the place where its steps lead, or as near to it as the file goes."""
    steps, message = fault
    place = node.named_at
    for step in steps:
        inner = child(node, step)
        if inner is None:
            break
        node, place = inner, inner.named_at if isinstance(inner.value, dict) else inner.place
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return Problem(place, path, message)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a whole file of definitions, with every kind of work on this host."""
    return schema.file_schema({kind: _schema(kind) for kind in executors.installed()})


def _schema(kind: str) -> dict[str, Any]:
    try:
        return executors.find(kind).schema
    except Unusable as error:
        return {"description": str(error)}

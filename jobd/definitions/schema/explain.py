"""pydantic's findings as problems with a place, in words that say what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from jobd.core import names, options
from jobd.core.shown import shown
from jobd.definitions.parse import Node
from jobd.definitions.problems import Problem

_MISREAD_AS_BOOLEAN = frozenset({"yes", "no", "on", "off", "y", "n"})


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    node: Node,
    path: str,
    also: Callable[[], Iterable[str]] = tuple,
) -> list[Problem]:
    """Every problem pydantic found in the value of `node`, which stands under `path`.

    `also` are the keys that may stand there beside those of the model.
    """
    return [_problem(detail, model, node, path, also) for detail in error.errors(include_url=False)]


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What to say of a key that nobody knows."""
    return options.unknown(key, tuple(known))


def _problem(detail: Any, model: type[BaseModel], root: Node, path: str, also: Callable[[], Iterable[str]]) -> Problem:
    loc: Sequence[str | int] = detail["loc"]
    node, steps = _follow(root, loc)
    dotted = path + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    if detail["type"] == "extra_forbidden":
        key = str(steps[-1])
        known = (*_keys_at(model, steps[:-1]), *(also() if len(steps) == 1 else ()))
        return Problem(node.named_at, dotted.lstrip("."), unknown_key(key, known))
    place = node.named_at if isinstance(node.value, dict) else node.place
    return Problem(place, dotted.lstrip("."), _message(detail))


def _follow(node: Node, loc: Sequence[str | int]) -> tuple[Node, list[str | int]]:
    """The node `loc` leads to, and the steps that lead there; pydantic's own steps (names of types) are left out."""
    steps: list[str | int] = []
    for step in loc:
        inner = child(node, step)
        if inner is not None:
            node = inner
            steps.append(step)
    return node, steps


def child(node: Node, step: str | int) -> Node | None:
    """The node one step below, in a mapping or a list; None where there is none."""
    inner: Node | None = None
    if isinstance(node.value, dict):
        inner = node.value.get(str(step))
    elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        inner = node.value[step]
    return inner


def _keys_at(model: type[BaseModel], steps: Sequence[str | int]) -> Iterable[str]:
    """The keys known where `steps` lead; a step that is no key of a model is a name the user chose, or an index."""
    for step in steps:
        field = model.model_fields.get(str(step))
        if field is not None:
            model = _model_in(field.annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _message(detail: Any) -> str:
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            said = str(context["error"])
        case "literal_error":
            said = _not_one_of(value, context["expected"])
        case "bool_type":
            said = _not_a_boolean(value)
        case "string_type":
            quotes = "" if isinstance(value, dict | list) else f' (put it in quotes: "{shown(value)}")'
            said = f"{shown(value)} is not a text{quotes}"
        case "list_type":
            said = f"{shown(value)} is not a list (write [a, b])"
        case "dict_type" | "model_type":
            said = f"{shown(value)} is not a mapping (write key: value below it)"
        case "missing":
            said = f"{detail['loc'][-1]} is missing (it has no default)"
        case _:
            said = f"{shown(value)}: {detail['msg']}"
    return said


def _not_a_boolean(value: Any) -> str:
    if value in ("true", "false"):
        return f"{shown(value)} is a text, not a boolean (take the quotes away)"
    if isinstance(value, str) and value.lower() in _MISREAD_AS_BOOLEAN:
        return f"{shown(value)} is a text in YAML 1.2, not a boolean (write true or false)"
    return f"{shown(value)} is not a boolean (write true or false)"


def _not_one_of(value: Any, expected: str) -> str:
    allowed = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
    meant = names.closest(value, allowed) if isinstance(value, str) else None
    hint = f', did you mean "{meant}"?' if meant else ""
    return f"{shown(value)} is not one of {', '.join(allowed)}{hint}"

"""Payloads against the schema of their job: JSON Schema 2020-12. Nothing is fetched, and no pattern takes for ever.

What a kind of work wants of a payload beyond that is for its executor to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from typing import Any

from jobd.core import envelopes, executors
from jobd.core.executors import Fault
from jobd.core.model import Job

MOST_BYTES = 64 * 1024
MOST_FAULTS = 100
_LONGEST_MESSAGE = 300
_MOST_STEPS = 100_000
"""Of one check: some hundred thousandths of a second each. A schema whose parts name each other can double them with
every line, so that no bound on its length is one on its time."""
_STEPS_OF_A_FAULT = 20
"""A fault is put into words that quote the payload, also where another alternative holds in the end."""
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAMED = frozenset({"properties", "$defs", "dependentSchemas"})
_LITERAL = frozenset({"const", "enum", "default", "examples"})
_REFUSED = {
    "patternProperties": "use propertyNames and additionalProperties",
    "$dynamicRef": "use $ref",
    "$id": "take it out",
    "$vocabulary": "take it out",
}


class TooLong(Exception):
    """A check would take more steps than one may."""


@dataclass(slots=True)
class _Steps:
    """How many steps a check still has."""

    left: int = _MOST_STEPS

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise TooLong


_steps: ContextVar[_Steps] = ContextVar("steps")


def schema_fault(schema: Any) -> str | None:
    """Why a value cannot be the schema of a payload, or None if it can."""
    from jsonschema.exceptions import SchemaError  # takes a tenth of a second, which most have no use for

    try:
        if len(text := _text(schema)) > MOST_BYTES:
            return f"is longer than {MOST_BYTES // 1024} KiB"
        for word, value in _words(schema):
            if fault := _word_fault(word, value):
                return fault
        _validator_class().check_schema(schema)
        _compiled(text)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path))
        return f"is no JSON Schema: {where + ': ' if where else ''}{_short(error.message)}"
    except RecursionError:
        return "is nested too deep"
    return None


def faults_of(job: Job, payload: Any) -> list[Fault]:
    """Everything that is wrong with a payload for a job: by its schema, and for what it runs."""
    content = envelopes.content(payload)
    by_schema = [] if job.payload_schema is None else faults(job.payload_schema, content)
    return [*by_schema, *executors.faults(job.action, payload)]


def faults(schema: Any, payload: Any) -> list[Fault]:
    """Everything that is wrong with a payload, the first hundred of it, in the order of the places."""
    from jsonschema.exceptions import ValidationError
    from referencing.exceptions import Unresolvable

    _steps.set(_Steps())
    try:
        found: Iterable[ValidationError] = _compiled(_text(schema)).iter_errors(payload)
        told = [(list(one.absolute_path), _short(one.message)) for one in islice(found, MOST_FAULTS)]
        return sorted(told, key=lambda fault: ([*map(str, fault[0])], fault[1]))
    except RecursionError:
        return [([], "cannot be checked: its payload_schema goes round in a circle")]
    except TooLong:
        return [([], "cannot be checked: its payload_schema takes too many steps over it (make one of them simpler)")]
    except Unresolvable as error:
        return [([], f"cannot be checked: its payload_schema names what is not there ({_short(str(error))})")]


def _text(schema: Any) -> str:
    return json.dumps(schema, sort_keys=True, ensure_ascii=False)


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"


def _words(schema: Any) -> Iterator[tuple[str, Any]]:
    """The keywords of a schema and of those inside it, with their values."""
    if isinstance(schema, list):
        for one in schema:
            yield from _words(one)
    elif isinstance(schema, dict):
        for word, value in schema.items():
            yield word, value
            if word in _NAMED and isinstance(value, dict):
                yield from _words(list(value.values()))
            elif word not in _LITERAL:
                yield from _words(value)


def _word_fault(word: str, value: Any) -> str | None:
    if word in _REFUSED:
        return f"{word} is not taken here ({_REFUSED[word]})"
    if word == "$ref" and not (isinstance(value, str) and value.startswith("#")):
        return f"$ref: {value!r} lies elsewhere, and nothing is fetched (use #/$defs/NAME)"
    if word == "$schema" and value != _DIALECT:
        return f"$schema: only {_DIALECT} is known"
    if word == "pattern" and isinstance(value, str):
        return _pattern_fault(value)
    return None


def _pattern_fault(text: str) -> str | None:
    from pydantic_core import SchemaError

    try:
        _matcher(text)
    except SchemaError:
        return f"pattern: {text!r} is not taken (no look-around and no back-references: these can take for ever)"
    return None


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text holds a match, in time that grows with its length alone: pydantic's engine does not go back."""
    from pydantic_core import SchemaValidator, core_schema

    validator = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    return validator.isinstance_python


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Any:
    return _validator_class()(json.loads(text))


@cache
def _validator_class() -> Any:
    from jsonschema import Draft202012Validator, validators

    words = dict(Draft202012Validator.VALIDATORS) | {"pattern": _check_pattern, "uniqueItems": _check_items}
    counted = {word: _counted(check) for word, check in words.items()}
    return validators.extend(Draft202012Validator, counted)  # type: ignore[no-untyped-call, unused-ignore]


def _counted(check: Callable[..., Iterable[Any] | None]) -> Callable[..., Iterator[Any]]:
    """The check of one keyword, which takes its steps before it begins and for every fault."""

    def checked(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
        steps = _steps.get()
        steps.take(1 + len(wanted) // 8 if isinstance(wanted, list | dict) else 1)
        for fault in check(validator, wanted, value, schema) or ():
            steps.take(_STEPS_OF_A_FAULT)
            yield fault

    return checked


def _check_pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if isinstance(value, str) and not _matcher(pattern)(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _check_items(_validator: Any, wanted: bool, value: Any, _schema: Any) -> Iterator[Any]:
    """The library compares every two objects, which takes minutes for a long list of them."""
    from jsonschema.exceptions import ValidationError

    if wanted and isinstance(value, list) and len({_text(one) for one in value}) < len(value):
        yield ValidationError("has items that are there twice")

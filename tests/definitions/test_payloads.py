"""`payload_schema`: what it refuses in payloads, and what is refused in it."""

from __future__ import annotations

from typing import Any

import pytest

from jobd.core import spec
from jobd.definitions import payloads
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.parse import parse
from jobd.definitions.problems import Malformed

MAIL = {
    "type": "object",
    "required": ["to"],
    "additionalProperties": False,
    "properties": {
        "to": {"type": "string", "pattern": "^[^@]+@[^@]+$"},
        "copies": {"type": "array", "uniqueItems": True},
    },
}


def test_everything_wrong_is_found_with_the_way_to_it() -> None:
    found = payloads.faults(MAIL, {"to": "nobody", "copies": [{"a": 1}, {"a": 1}], "cc": 1})
    assert sorted(map(str, (steps for steps, _ in found))) == ["['copies']", "['to']", "[]"]
    assert payloads.faults(MAIL, {"to": "a@b"}) == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "is no JSON Schema"),
        ({"$ref": "https://example.org/a.json"}, "nothing is fetched"),
        ({"properties": {"a": {"items": {"$ref": "other.json"}}}}, "nothing is fetched"),
        ({"pattern": "(a)\\1"}, "look-around"),
        ({"properties": {"x": {"pattern": "(?=a)b"}}}, "look-around"),
        ({"patternProperties": {"a": {}}}, "propertyNames"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "only https"),
        ({"enum": ["x" * 70_000]}, "is longer than"),
    ],
)
def test_a_schema_that_cannot_be_had_is_refused(schema: Any, said: str) -> None:
    assert said in (payloads.schema_fault(schema) or "")


def test_names_and_values_are_not_taken_for_words_of_the_schema() -> None:
    assert (
        payloads.schema_fault({"properties": {"pattern": {"type": "string"}, "$id": {}}, "const": {"$ref": "x"}})
        is None
    )


def test_no_payload_makes_a_check_take_for_ever() -> None:
    assert payloads.faults({"pattern": "^(a+)+$"}, "a" * 60_000 + "b") != []
    assert payloads.faults({"uniqueItems": True}, [{"n": n} for n in range(10_000)]) == []
    assert payloads.faults({"$ref": "#"}, 1) != []
    assert payloads.faults({"$ref": "#/$defs/gone"}, 1) != []


def doubling(word: str) -> dict[str, Any]:
    """A schema of a few lines that asks the same question 2^40 times."""
    parts = {f"a{n}": {word: [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    return {"$defs": parts | {"a40": {"type": "string"}}, "$ref": "#/$defs/a0"}


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("payload", [5, "text"])
def test_a_schema_whose_parts_double_each_other_ends_its_check_with_a_reason(word: str, payload: Any) -> None:
    schema = doubling(word)
    assert payloads.schema_fault(schema) is None
    found = payloads.faults(schema, payload)
    assert (found == [] and word == "anyOf") or "too many steps" in found[0][1]


def test_neither_do_many_items_under_many_alternatives_or_unevaluated_ones() -> None:
    many = {"items": {"anyOf": [{"const": n} for n in range(1_000)]}}
    assert "too many steps" in payloads.faults(many, [-1] * 20_000)[0][1]
    assert payloads.faults({**doubling("allOf"), "unevaluatedProperties": False}, {"a": 1}) != []


def test_a_long_payload_of_simple_parts_has_steps_enough() -> None:
    row = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 0}}}
    assert payloads.faults({"type": "array", "items": row}, [{"n": n} for n in range(6_000)]) == []


def test_the_schema_and_the_default_payload_are_checked_at_load() -> None:
    def read(schema: str, more: str = "") -> Any:
        node = parse(f"jobs:\n  a:\n    command: [a]\n    payload_schema: {schema}\n{more}".encode(), "a.yaml")
        assert node is not None
        return interpret(node, [], Rules())[0].job

    job = read("{required: [to]}", "    payload: {to: x}\n")
    assert spec.from_text(spec.to_text(job)) == job
    assert read("{type: object}").payload is None  # whoever submits gives one
    for schema, more, place in (
        ("{type: nothing}", "", "a.yaml:4:"),
        ("{required: [to]}", "    payload: {}\n", "a.yaml:5:"),
        ("{type: object}", '    schedule: "0 0 * * *"\n', "a.yaml:2:"),
    ):
        with pytest.raises(Malformed) as refused:
            read(schema, more)
        assert [str(one)[:9] for one in refused.value.problems] == [place]

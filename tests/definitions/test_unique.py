"""`unique` in definitions: what it means, and what it may not say."""

from __future__ import annotations

import pytest

from jobd.core.model import Unique
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.parse import parse
from jobd.definitions.problems import Malformed


def read(unique: str, more: str = "") -> Unique | None:
    node = parse(f"jobs:\n  a:\n    command: [a]\n    unique: {unique}\n{more}".encode(), "a.yaml")
    assert node is not None
    return interpret(node, [], Rules())[0].job.unique


def test_unique_by_fields_within_a_period() -> None:
    assert read("{key: [b, a], period: 1h, states: all, on_conflict: error}") == Unique(
        ("a", "b"), None, 3600.0, "all", "error"
    )
    assert read("{}") == read("{key: true}") == Unique()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{states: all}", "period: 1h"),
        ("{on_conflict: never}", "keep, replace, error"),
        ("{keys: [a]}", 'did you mean "key"'),
        ("{key: false}", "unique.key"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(text)
    assert any(said in str(one) and str(one).startswith("a.yaml:4:") for one in refused.value.problems)


def test_a_run_cannot_be_replaced_by_one_that_its_key_keeps_out() -> None:
    with pytest.raises(Malformed, match="overlap: replace"):
        read("{}", '    schedule: "0 0 * * *"\n    overlap: replace\n')

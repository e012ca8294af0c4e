"""Whatever JSON is submitted comes out of the store as it went in, or is refused with its place (A22)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.control import bodies
from jobd.control.problems import Malformed
from tests.examples import examples
from tests.supervisor.stage import Stage, job, stage

texts = st.text(st.characters(codec=None)) | st.sampled_from(
    ["\0", "a\0b", "\ud800", "\udfff", "é", "e\u0301", "\U0001f600"]
)
numbers = (
    st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1]) | st.floats() | st.just(-0.0)
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def taken(body: str) -> Any:
    """What the API takes of a body. Raises Malformed or Hazard."""
    value = bodies.parse(body)
    bodies.check_value(value)
    return value


def kept(on: Stage, payload: Any) -> tuple[str, str]:
    """A payload as a listing shows it and as an attempt is given it, once it has been through the store."""
    (run,) = on.submit(job(), payload=payload)
    order = next(order for order in reversed(on.workers.orders) if order.key.run == run)
    on.report(order.key)
    return json.dumps(on.run(run).payload), json.dumps(json.loads(order.payload))


def test_every_payload_comes_out_as_it_went_in_or_is_refused() -> None:
    with tempfile.TemporaryDirectory() as directory, stage(Path(directory)) as on:
        on.adopt(job())

        @settings(max_examples=examples(150), deadline=None)
        @given(values, st.booleans())
        def check(value: Any, plain: bool) -> None:
            body = json.dumps(value, ensure_ascii=plain)
            try:
                payload = taken(body)
            except (Malformed, bodies.Hazard) as refused:
                assert str(refused)
                return
            assert kept(on, payload) == (json.dumps(payload),) * 2 == (json.dumps(value),) * 2

        check()


@pytest.mark.parametrize(
    "body",
    [
        '"\\ud800"',
        '{"\\udfff": 1}',
        '"a\\u0000b"',
        '["\\u0000"]',
        "9223372036854775808",
        "-9223372036854775809",
        "1e400",
        "NaN",
        "[-Infinity]",
        '{"a": 1, "a": 2}',
        "[" * 33 + "]" * 33,
        "[" * 100_000,
        "9" * 5_000,
    ],
)
def test_what_would_not_come_out_again_is_refused(body: str) -> None:
    with pytest.raises((Malformed, bodies.Hazard)):
        taken(body)


@pytest.mark.parametrize(
    "body", ['"\\ud83d\\ude00"', "9223372036854775807", "-0.0", "5e-324", "[" * 32 + "]" * 32, '"e\\u0301"']
)
def test_what_is_at_the_limits_is_taken_and_not_changed(body: str, tmp_path: Path) -> None:
    with stage(tmp_path) as on:
        on.adopt(job())
        assert kept(on, taken(body)) == (json.dumps(json.loads(body)),) * 2

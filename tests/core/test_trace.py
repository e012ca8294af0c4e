"""Trace contexts are told apart by the rules of the W3C: what is well-formed goes on, the rest is not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.trace import Trace, heard, read_parent, read_state

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        PARENT.upper(),
        PARENT[:-1],
        PARENT + "-more",
        " " + PARENT,
        "ff" + PARENT[2:],
        PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        PARENT.replace("00f067aa0ba902b7", "0" * 16),
        "01" + PARENT[2:] + "x",
        PARENT + "\n",
        "01" + PARENT[2:] + "-\r\nx: y",
        "01" + PARENT[2:] + "-" + "x" * 500,
    ],
)
def test_a_traceparent_that_is_not_well_formed_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="must be a traceparent like"):
        read_parent(wrong)
    assert heard(wrong, "a=b") is None


@pytest.mark.parametrize("text", [PARENT, "cc" + PARENT[2:], "cc" + PARENT[2:] + "-what-is-to-come"])
def test_of_a_version_to_come_the_known_part_is_taken(text: str) -> None:
    assert read_parent(text) == PARENT


@pytest.mark.parametrize("text", ["a=b", "tenant1@vendor=x y", "0t@v=1,b=2", "a/b_c-d*=!~", ""])
def test_a_well_formed_tracestate_is_kept_as_it_is(text: str) -> None:
    assert read_state(text) == text


@pytest.mark.parametrize(
    "wrong", ["a", "=b", "A=b", "a=b=c", "a=1,a=2", "a=é", "a=b\0", ",".join(f"k{n}=v" for n in range(33)), "a=b\nc=d"]
)
def test_a_tracestate_that_is_not_well_formed_is_dropped_and_its_traceparent_kept(wrong: str) -> None:
    with pytest.raises(ValueError, match="must be a tracestate"):
        read_state(wrong)
    assert heard(PARENT, wrong) == Trace(PARENT)


def test_empty_members_of_a_tracestate_are_left_out() -> None:
    assert read_state("a=1, ,\t,b=2 ,") == "a=1,b=2"


@given(st.text(), st.text())
def test_what_is_heard_can_stand_in_a_header_and_in_an_environment(parent: str, state: str) -> None:
    for found in (heard(parent, state), heard(PARENT, state)):
        assert found is None or (found.parent + found.state).isprintable()

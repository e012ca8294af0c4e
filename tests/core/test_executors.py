"""Kinds of work: found by their key, the built-in ones without a look at any other package."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from jobd.core import executors, places, spec
from jobd.core.brought import Unusable
from jobd.core.executors import Executor, Misread
from jobd.core.model import Call, Job
from jobd.work import orders, wire

ROOT = Path(__file__).resolve().parents[2]


def test_the_executors_of_jobd_are_entry_points_like_any_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][executors.GROUP] == dict(executors.BUILT_IN)


@pytest.mark.parametrize("kind", executors.BUILT_IN)
def test_each_executor_of_jobd_can_be_loaded_and_describes_its_key(kind: str) -> None:
    found = executors.find(kind)
    assert isinstance(found, Executor)
    assert found.schema["description"]


def test_a_built_in_kind_is_found_without_looking_through_packages() -> None:
    code = (
        "import sys; from jobd.core import executors; executors.find('command'); "
        "print('importlib.metadata' in sys.modules, 'pydantic' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]


def test_a_kind_that_nobody_brings_says_so() -> None:
    with pytest.raises(Unusable, match="no package on this host brings an executor for abacus"):
        executors.find("abacus")


def test_a_call_is_the_same_after_the_store_and_after_the_wire() -> None:
    action = Call("abacus", {"beads": [1, None, {"a": "b"}]})
    job = Job(name="x", action=action)
    assert spec.from_text(spec.to_text(job)) == job
    order = orders.order_of(job, wire.AttemptKey(1, 1), trigger=wire.Trigger.SUBMIT, payload="null")
    assert wire.from_bytes(wire.to_bytes(wire.Orders((order,)))) == wire.Orders((order,))


def test_a_place_takes_its_value_as_it_is_where_it_stands_alone() -> None:
    payload = {"n": 3, "deep": {"list": ["a", "b"]}}
    value = {"a": "${payload.n}", "b": "no ${payload.n}", "c": ["${payload.deep.list}", "${payload.deep.list.1}"]}
    assert places.filled_value(value, payload) == {"a": 3, "b": "no 3", "c": [["a", "b"], "b"]}


def test_what_the_payload_gives_is_never_looked_at_for_places() -> None:
    assert places.filled("${payload.a}", {"a": "${payload.b}", "b": "no"}) == "${payload.b}"


def test_every_place_that_the_payload_lacks_is_named_once() -> None:
    found = places.lacking(["${payload.a} ${payload.a}", {"x": "${payload.b.c}"}, "${payload.ok}"], {"ok": 1, "b": 2})
    assert [message for _, message in found] == [
        "has no 'a', and the job asks for ${payload.a}",
        "has no 'c', and the job asks for ${payload.b.c}",
    ]


def test_a_place_without_a_value_is_refused() -> None:
    with pytest.raises(Misread, match="has no 'a'"):
        places.filled("x${payload.a}", None)

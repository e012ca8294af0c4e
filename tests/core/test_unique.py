"""The key of a unique run, over plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core import spec
from jobd.core.model import Command, Job, RunRequest, Unique
from jobd.core.states import Trigger
from jobd.core.unique import claim

NOW = datetime(2026, 3, 1, 12, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
JOB = Job("sync", Command(("true",)))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def request(payload: Any = None, unique: Unique | None = None, **more: Any) -> RunRequest:
    return RunRequest(more.pop("job", JOB), Trigger.SUBMIT, payload=payload, unique=unique or Unique(), **more)


def digest(made: RunRequest, now: datetime = NOW) -> bytes:
    found = claim(made, now)
    assert found is not None
    return found.digest


def test_what_is_not_unique_asks_for_no_key() -> None:
    assert claim(RunRequest(JOB, Trigger.SUBMIT), NOW) is None


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_the_order_of_keys_makes_no_difference(payload: dict[str, Any]) -> None:
    assert digest(request(payload)) == digest(request(dict(reversed(payload.items()))))


@pytest.mark.parametrize(
    "other",
    [
        request({"customer": 2}),
        request({"customer": "1"}),
        request({"customer": 1, "more": None}),
        request({"customer": 1}, queue="other"),
        request({"customer": 1}, job=replace(JOB, name="other")),
        request({"customer": 1}, Unique(fields=("customer",))),
        request({"customer": 1}, Unique(text="customer")),
        request({"customer": 1}, Unique(period_seconds=3600)),
    ],
)
def test_whatever_makes_runs_different_makes_keys_different(other: RunRequest) -> None:
    assert digest(request({"customer": 1})) != digest(other)


def test_only_the_chosen_fields_count() -> None:
    by_customer = Unique(fields=("customer",))
    assert digest(request({"customer": 1, "at": 1}, by_customer)) == digest(request({"customer": 1}, by_customer))
    assert digest(request({"at": 1}, by_customer)) != digest(request({"customer": None, "at": 1}, by_customer))
    assert digest(request("a", by_customer)) != digest(request("b", by_customer))
    assert digest(request({"a": 1}, Unique(fields=()))) == digest(request({"a": 2}, Unique(fields=())))


def test_a_key_of_the_clients_stands_in_place_of_the_payload() -> None:
    assert digest(request({"a": 1}, Unique(text="k"))) == digest(request({"a": 2}, Unique(text="k")))


def test_each_period_has_a_key_of_its_own() -> None:
    hourly = Unique(period_seconds=3600)
    assert digest(request(unique=hourly), NOW) == digest(request(unique=hourly), NOW + timedelta(minutes=49))
    assert digest(request(unique=hourly), NOW) != digest(request(unique=hourly), NOW + timedelta(minutes=50))


def test_a_run_belongs_to_the_period_in_which_it_is_due() -> None:
    hourly = Unique(period_seconds=3600)
    later = digest(request(unique=hourly), NOW + HOUR)
    assert digest(request(unique=hourly, run_at=NOW + HOUR)) == later
    assert digest(request(unique=hourly, slot=NOW), NOW + HOUR) == digest(request(unique=hourly))
    assert digest(request(unique=hourly, run_at=NOW - HOUR)) == digest(request(unique=hourly))


def test_states_all_holds_the_key_to_the_end_of_the_period() -> None:
    whole = claim(request(unique=Unique(period_seconds=3600, states="all")), NOW)
    assert whole is not None and whole.until == datetime(2026, 3, 1, 13, tzinfo=UTC)
    active = claim(request(unique=Unique(period_seconds=3600)), NOW)
    assert active is not None and active.until is None


def test_a_command_is_the_same_only_for_its_user() -> None:
    def adhoc(argv: tuple[str, ...], owner: str) -> bytes:
        return digest(request(job=Job("adhoc", Command(argv)), adhoc=True, owner=owner))

    assert adhoc(("a",), "ann") == adhoc(("a",), "ann")
    assert len({adhoc(("a",), "ann"), adhoc(("a",), "bob"), adhoc(("b",), "ann")}) == 3


def test_a_definition_keeps_what_is_unique() -> None:
    unique = replace(JOB, unique=Unique(("a", "b"), period_seconds=60.0, states="all", on_conflict="replace"))
    assert spec.from_text(spec.to_text(unique)) == unique

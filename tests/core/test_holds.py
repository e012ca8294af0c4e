"""Which slots a pause covers, and how a circuit stands after runs that succeed and fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobd.core.holds import Circuit, CircuitState, Holds, Pause
from jobd.core.model import CircuitBreaker

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
BREAKER = CircuitBreaker(failures=3, cooldown_seconds=3600.0)


@pytest.mark.parametrize(
    ("slot", "is_covered"),
    [(NOON - HOUR, False), (NOON, True), (NOON + HOUR, True), (NOON + 2 * HOUR, False), (NOON + 3 * HOUR, False)],
)
def test_a_pause_covers_its_span_and_nothing_else(slot: datetime, is_covered: bool) -> None:
    for in_force in (True, False):
        pause = Pause(NOON, NOON + 2 * HOUR, "ann", in_force=in_force)
        assert pause.covers(slot, NOON + 5 * HOUR) is is_covered


def test_a_pause_in_force_covers_what_comes_after_the_clock_was_set_back() -> None:
    assert Pause(NOON, None, "ann").covers(NOON - HOUR, NOON - HOUR)
    assert not Pause(NOON, NOON + HOUR, "ann", in_force=False).covers(NOON - HOUR, NOON - HOUR)


@pytest.mark.parametrize(
    ("pause", "reason"),
    [
        (Pause(NOON, None, "ann"), "paused: by ann"),
        (Pause(NOON, NOON + HOUR, "ann"), "paused: by ann until 2026-03-01T13:00:00Z"),
        (Pause(NOON, None, "ann", "disk swap"), "paused: disk swap (by ann)"),
        (Pause(NOON, NOON + HOUR, "ann", "swap"), "paused: swap (by ann until 2026-03-01T13:00:00Z)"),
    ],
)
def test_the_reason_names_why_who_and_until_when(pause: Pause, reason: str) -> None:
    assert pause.reason == reason


def after(circuit: Circuit, word: str, now: datetime = NOON) -> Circuit:
    """How a circuit stands after runs: `f` failed for good, `s` succeeded."""
    for letter in word:
        circuit = circuit.after(BREAKER, now, succeeded=letter == "s")
    return circuit


@pytest.mark.parametrize(
    ("word", "failures", "opens"),
    [("", 0, False), ("ff", 2, False), ("fff", 3, True), ("ffsff", 2, False), ("ffsfff", 3, True), ("fffs", 0, False)],
)
def test_enough_failures_in_a_row_open_a_circuit_and_a_success_closes_it(word: str, failures: int, opens: bool) -> None:
    circuit = after(Circuit(), word)
    assert (circuit.failures, circuit.until) == (failures, NOON + HOUR if opens else None)


def test_what_was_under_way_when_it_opened_does_not_keep_it_open_for_longer() -> None:
    assert after(after(Circuit(), "fff"), "f", NOON + HOUR / 2) == Circuit(4, NOON + HOUR)


def test_a_trial_that_fails_opens_it_for_another_cooldown() -> None:
    circuit = after(Circuit(), "fff")
    assert circuit.state(NOON + HOUR) is CircuitState.HALF_OPEN
    assert after(circuit, "f", NOON + HOUR) == Circuit(4, NOON + 2 * HOUR)
    assert after(circuit, "s", NOON + HOUR).state(NOON + HOUR) is CircuitState.CLOSED


def test_after_the_cooldown_one_slot_may_go_and_the_next_ones_wait_for_its_run() -> None:
    opened = Circuit(3, NOON)
    assert Holds(circuit=opened).bar(NOON - HOUR, NOON) == (
        "circuit: open after 3 failures in a row, until 2026-03-01T12:00:00Z"
    )
    assert Holds(circuit=opened).bar(NOON, NOON) is None
    tried = Circuit(3, NOON, trial=7)
    assert Holds(circuit=tried).bar(NOON + HOUR, NOON + HOUR) == "circuit: its trial, run 7, is not over"

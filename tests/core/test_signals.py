"""Signals by name and number."""

from __future__ import annotations

import signal

import pytest

from jobd.core.signals import name_of, number_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", signal.SIGTERM),
        ("SIGTERM", signal.SIGTERM),
        ("sigusr1", signal.SIGUSR1),
        (" hup ", signal.SIGHUP),
        ("9", signal.SIGKILL),
        (15, signal.SIGTERM),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("rtmax-1", 63),
        ("RTMAX", 64),
        ("63", 63),
    ],
)
def test_a_signal_is_known_by_its_name_and_its_number(text: str | int, number: int) -> None:
    assert number_of(text) == number
    assert number_of(name_of(number)) == number


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "32", "33", "65", "999", "TERMS; ls", "RTMIN-1", "RTMAX+1", "SIGSIG", "٩"]
)
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="signal"):
        number_of(text)


def test_a_slip_gets_a_suggestion() -> None:
    with pytest.raises(ValueError, match="did you mean TERM"):
        number_of("TREM")

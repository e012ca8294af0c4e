"""A program that only tells something is asked once, and its refusal is told in its own words."""

from __future__ import annotations

import pytest

from jobd.core.errors import JobdError, NotFound
from jobd.work import ask


def test_what_a_program_prints_is_the_answer() -> None:
    assert ask.told(["printf", "a\\nb"]) == b"a\nb"


def test_a_program_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="no-such-program-here"):
        ask.told(["no-such-program-here"])


def test_a_refusal_is_told_in_the_programs_words() -> None:
    with pytest.raises(JobdError, match="no crontab for ann"):
        ask.told(["sh", "-c", "echo no crontab for ann >&2; exit 1"])


def test_the_asker_lends_it_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    assert b"SECRET" not in ask.told(["env"])

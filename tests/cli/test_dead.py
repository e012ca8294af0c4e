"""Acting on very many dead letters: batch after batch, and never for ever."""

from __future__ import annotations

from jobd.cli.verbs.dead import _repeated


def test_retrying_ends_where_runs_die_again_as_fast_as_they_are_retried() -> None:
    answers = iter([[1, 2], [3, 1]])
    assert _repeated(lambda: {"runs": next(answers), "is_partial": True}) == [1, 2, 3]


def test_it_goes_on_while_there_are_more() -> None:
    answers = iter([{"runs": [1, 2], "is_partial": True}, {"runs": [3], "is_partial": False}])
    assert _repeated(lambda: next(answers)) == [1, 2, 3]

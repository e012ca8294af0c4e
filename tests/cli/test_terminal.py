"""What reaches a terminal can be read and does not move it."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.cli.measure import columns_of, cut, flowed
from jobd.cli.table import Cell, Column, lines
from jobd.cli.terminal import Screen, Tone, safe_line, safe_text, screen_of

HOSTILE = [
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x1b]0;title\x07",
    '\x1bP$q"p\x1b\\',
    "\x1b[2J\x1b[H",
    "all well\rALL BROKEN",
    "\x9b31m",
    "\x90q\x9c",
    "user\u202eexe.txt",
    "\u2066a\u2069",
    "a\u2028b\u2029c",
    "bell\x07 backspace\x08 delete\x7f",
    "nul\x00",
    "half \ud800 pair",
    "<0>emergency\n<0>more",
    "\u200emark\u200f\u061c",
]


def harmful(text: str) -> list[str]:
    """Characters that a terminal would obey, reorder text by, or cannot print."""
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    assert harmful(safe_line(text)) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_keeps_newlines_and_tabs_only(text: str) -> None:
    assert set(harmful(safe_text(text + "\tx\n"))) <= {"\t", "\n"}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_cell_stays_in_its_row(text: str) -> None:
    shown = lines([Column("A"), Column("B")], [[text, Cell(text, Tone.BAD)], ["x", "y"]], Screen())
    assert len(shown) == 3
    assert harmful("".join(shown)) == []


def test_plain_words_in_any_script_are_shown_as_they_are() -> None:
    words = "Gruß, 世界, кит, naïve café e\u0301"
    assert safe_line(words) == words


def test_every_c0_and_c1_control_is_escaped() -> None:
    for code in [*range(0x20), *range(0x7F, 0xA0)]:
        assert safe_line(chr(code)).startswith("\\"), hex(code)


def test_an_escape_says_what_was_there() -> None:
    assert safe_line("a\x1b[2Jb\nc\u202e") == r"a\x1b[2Jb\nc\u202e"


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert screen_of(Terminal()).has_color
    assert not screen_of(Terminal(), wants_color=False).has_color
    assert not screen_of(io.StringIO()).has_color
    monkeypatch.setenv("NO_COLOR", "1")
    assert not screen_of(Terminal()).has_color


NARROW = Screen(is_terminal=True, has_color=False, width=30)


def test_a_narrow_terminal_cuts_what_may_be_cut_and_never_a_name() -> None:
    name = "a-very-long-name-of-a-job"
    shown = lines([Column("JOB"), Column("ERROR", is_elastic=True)], [[name, "e" * 80]], NARROW)
    assert name in shown[1]
    assert shown[1].endswith("…")


def test_nothing_is_cut_when_piped() -> None:
    long = "e" * 500
    assert lines([Column("ERROR", is_elastic=True)], [[long]], Screen())[1] == long


def test_columns_are_aligned_by_what_a_terminal_shows() -> None:
    shown = lines([Column("A"), Column("B")], [["世界", "x"], ["abcd", "x"], ["e\u0301", "x"]], Screen())
    assert shown == ["A     B", "世界  x", "abcd  x", "e\u0301     x"]


def test_numbers_stand_right() -> None:
    assert lines([Column("RUN", is_right=True), Column("B")], [["7", "x"], ["1234", "y"]], Screen()) == [
        " RUN  B",
        "   7  x",
        "1234  y",
    ]


def test_colour_does_not_move_columns() -> None:
    painted = Screen(is_terminal=True, has_color=True, width=80)
    shown = lines([Column("A"), Column("B")], [[Cell("bad", Tone.BAD), "x"]], painted)
    assert shown[1] == "\x1b[31mbad\x1b[0m  x"


def test_a_name_without_room_stands_whole_above_its_row() -> None:
    name = "a-name-that-is-longer-than-the-whole-line-of-the-terminal"
    columns = [Column("RUN", is_right=True), Column("JOB"), Column("STATE")]
    shown = lines(columns, [["7", name, "failed"], ["8", "short", "queued"]], NARROW)
    assert name in "".join(shown)
    assert all(columns_of(line) <= 30 for line in shown)
    assert shown[-2].split() == ["7", "failed"]
    assert shown[-1].split() == ["8", "short", "queued"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=80), st.integers(20, 60))
def test_flowed_text_fits_and_loses_nothing_but_blanks(text: str, width: int) -> None:
    shown = list(flowed(text, width))
    assert all(columns_of(line) <= width for line in shown)
    assert "".join("".join(shown).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", ["short"]),
        ("one two three four five six", ["one two three four", "  five six"]),
        ("key      one two three four", ["key      one two", "         three four"]),
        ("x" * 45, ["x" * 20, "  " + "x" * 18, "  " + "x" * 7]),
        ("夜間バックアップ失敗しました", ["夜間バックアップ失敗", "  しました"]),
    ],
)
def test_a_line_that_is_too_long_goes_on_below_its_value(text: str, expected: list[str]) -> None:
    assert list(flowed(text, 20)) == expected
    assert list(flowed(text, None)) == [text]


def test_marks_and_joiners_take_no_room() -> None:
    assert [columns_of(text) for text in ("abc", "e\u0301", "世界", "🚀", "\u200d")] == [3, 1, 4, 2, 0]
    assert (cut("世界", 3), cut("abcd", 3), cut("abc", 3)) == ("世…", "ab…", "abc")

"""What Debian's cron reads in a crontab; every claim about odd lines was tried out on cron 3.0pl1-162 itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.definitions.importers import crontab
from jobd.definitions.importers.crontab import Crontab, Entry, split_at_percent
from tests.examples import examples


def read(text: str, *, is_system: bool = False) -> Crontab:
    return crontab.read(text.encode(), "f", is_system=is_system)


def only(text: str, *, is_system: bool = False) -> Entry:
    found = read(text, is_system=is_system)
    assert [str(problem) for problem in found.problems] == []
    assert len(found.entries) == 1
    return found.entries[0]


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('A="x y"', "A", "x y"),
        (" B = y z  ", "B", "y z"),
        ('F= "lead"', "F", "lead"),
        ("H = a$PATH # not comment", "H", "a$PATH # not comment"),
        ('I="tr "  ', "I", "tr"),
        ("L=M=N", "L", "M=N"),
        ("'G'=5", "G", "5"),
        ("P = 'a\"b'  ", "P", 'a"b'),
        ('P=a"b"', "P", 'a"b"'),
        ('E=""', "E", ""),
        ('"J K"=1', "J K", "1"),
    ],
)
def test_a_setting_is_read_as_cron_reads_it(line: str, name: str, value: str) -> None:
    assert only(f"{line}\n* * * * * x\n").settings == ((name, value),)


@pytest.mark.parametrize("line", ["C='q\"", 'D="a"b', "E=", "N M=5", 'P="a\\"b"', "A B=x"])
def test_a_setting_that_cron_refuses_is_named(line: str) -> None:
    found = read(f"{line}\n* * * * * x\n")
    assert len(found.entries) == 1
    assert [problem.place.line for problem in found.problems] == [1]


def test_a_setting_holds_for_the_lines_below_it_alone() -> None:
    first, second = read("A=1\n* * * * * x\nA=2\n* * * * * y\n").entries
    assert (first.settings, second.settings) == ((("A", "1"),), (("A", "2"),))


@pytest.mark.parametrize(
    ("text", "command", "stdin"),
    [
        ("cat", "cat", None),
        ("date +\\%M\\x", "date +%M\\x", None),
        ("cat > p%a\\%b%c\\\\%d", "cat > p", "a%b\nc\\%d\n"),
        ("cat%%x%", "cat", "\nx\n"),
        ("cat%", "cat", ""),
        ("a\\\\%b", "a\\\\", "b\n"),
    ],
)
def test_a_bare_percent_begins_the_input_and_an_escaped_one_is_itself(
    text: str, command: str, stdin: str | None
) -> None:
    assert split_at_percent(text) == (command, stdin)


def test_a_hash_in_a_command_is_no_comment() -> None:
    assert only("* * * * * echo 'h # i'\n").command == "echo 'h # i'"


def test_comments_directly_above_a_line_describe_it() -> None:
    assert only("# far away\n\n# one\n#  two\n* * * * * x\n").comment == "one two"


def test_the_system_form_has_a_user_and_tabs_are_blanks() -> None:
    entry = only("*\t*\t*\t*\t*\troot\techo  a  b\n", is_system=True)
    assert (entry.user, entry.command) == ("root", "echo  a  b")


def test_leading_blanks_do_not_matter() -> None:
    assert only("  \t5 4 * * * x\n").times.expression == "5 4 * * *"


def test_a_leading_minus_is_taken_and_named() -> None:
    assert "syslog" in only("-5 4 * * * x\n").remarks[0]


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ("5-55/10 * * * *", "5-55/10 * * * *"),
        ("*/90 5-5 * * thu-7", "*/60 5 * * thu-7"),
        ("0,30 1-3,5 * JAN-mar mOn,sun", "0,30 1-3,5 * JAN-mar mOn,sun"),
        ("0-10/90 * * * *", "0 * * * *"),
        ("1 1 */40 * *", "1 1 */31 * *"),
        ("5~40 3 * * *", "H(5-40) 3 * * *"),
        ("@daily", "@daily"),
        ("@reboot", "@boot"),
    ],
)
def test_times_are_said_in_jobds_grammar(fields: str, expression: str) -> None:
    assert only(f"{fields} x\n").times.expression == expression


@pytest.mark.parametrize(
    "fields",
    ["5/10 * * * *", "x * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "30-20 * * * *",
     "* * * * fri-sun", "*, * * * *", "* * * * thursday", "*/0 * * * *", "@every_minute", "@Hourly", "0-60 * * * *",
     "* * * *", "-", "@", "%"],
)  # fmt: skip
def test_times_that_cron_does_not_run_are_named(fields: str) -> None:
    found = read(f"{fields} true\n* * * * * x\n")
    assert len(found.entries) == 1
    assert [problem.place.line for problem in found.problems] == [1]


@pytest.mark.parametrize(
    "content",
    [b"\0\1\2", b"\xff\xfe* * * * * x\n", b"* * * * * x\n" * 10_001, b"#" * (1024 * 1024 + 1)],
    ids=["binary", "not UTF-8", "too many lines", "too large"],
)
def test_what_is_no_crontab_is_refused_whole(content: bytes) -> None:
    found = crontab.read(content, "f", is_system=False)
    assert found.entries == ()
    assert len(found.problems) == 1


def test_a_line_without_its_newline_is_imported_and_named() -> None:
    found = read("* * * * * x")
    assert len(found.entries) == 1
    assert "newline" in found.problems[0].message


@given(st.text(max_size=200), st.booleans())
@settings(max_examples=examples(300), deadline=None)
def test_no_text_makes_the_reader_raise(text: str, is_system: bool) -> None:
    found = read(text, is_system=is_system)
    lines = [line for line in text.split("\n") if line.strip() and not line.lstrip(" \t").startswith("#")]
    assert len(found.entries) <= len(lines)


_FIELD = st.lists(st.sampled_from(["*", "*/7", "1", "2-5", "1-9/3", "~3", "7", "0"]), min_size=1, max_size=3).map(
    ",".join
)


@given(st.lists(_FIELD, min_size=5, max_size=5).map(" ".join))
@settings(max_examples=examples(200), deadline=None)
def test_every_line_is_imported_or_named(fields: str) -> None:
    found = read(f"{fields} x\n")
    assert len(found.entries) + len(found.problems) == 1

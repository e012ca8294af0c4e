"""Environment files say what they say to systemd, and a wrong line is named by its number alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.envfile import variables


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("A=1", {"A": "1"}),
        ("", {}),
        ("# A=1\n; B=2\n\n   \nC=3\n", {"C": "3"}),
        ("  A = 1 2  \n", {"A": "1 2"}),
        ("export A=1\n", {"A": "1"}),
        ("A=\nB=x", {"A": "", "B": "x"}),
        ("A='1 # \"two\"'\n", {"A": '1 # "two"'}),
        ('A="1 $X \\"q\\" \\$ \\n"\n', {"A": '1 $X "q" $ \\n'}),
        ("A='line\nbreak'\nB=1", {"A": "line\nbreak", "B": "1"}),
        ("A=one\\\ntwo\nB=1", {"A": "onetwo", "B": "1"}),
        ("A=x'y'\"z\"\n", {"A": "x'y'\"z\""}),
        ("A='x' \"y\" z\n", {"A": "xyz"}),
        ("A=a\\ b\\  \n", {"A": "a b "}),
        ("A=http://h/?a=b#c\n", {"A": "http://h/?a=b#c"}),
        ("A=1\r\nB='2'\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("A=\u00fc\udcff", {"A": "\u00fc\udcff"}),
    ],
)
def test_a_file_is_read_as_systemd_reads_it(text: str, found: dict[str, str]) -> None:
    assert dict(variables(text)) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\nsecret\n", "line 2 is not NAME=VALUE"),
        ("A='x\ny'\n2B=1", "line 3 is not NAME=VALUE"),
        ("\n\nA='secret", "line 3 opens a quote that nothing closes"),
        ('A="secret\\"', "line 1 opens a quote that nothing closes"),
        ("A=1\nB=\0", "line 2 contains a NUL character"),
    ],
)
def test_a_wrong_line_is_named_by_its_number_and_not_by_what_it_holds(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="^" + said) as raised:
        dict(variables(text))
    assert "secret" not in str(raised.value)


@given(st.text(alphabet="AB='\" \\\n#;$\r\tx"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = dict(variables(text))
    except ValueError as error:
        assert str(error).startswith("line ")
    else:
        assert all(name and "=" not in name for name in found)

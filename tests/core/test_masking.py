"""Masking: what is a secret goes, everything else stays, however the text was cut into pieces."""

from __future__ import annotations

import base64
import json
from itertools import cycle
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.core.disguises import forms
from jobd.core.masking import MASK, Masker, Stream
from tests.core.telling import JWT, LOOKALIKES, SECRETS

MASKER = Masker(["password", "token", "secret"])
VALUE = b's3cr3t/va"lue+1'
PEM = b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04f\n-----END EC PRIVATE KEY-----\n"


def through(stream: Stream, *pieces: bytes) -> bytes:
    return b"".join(map(stream.feed, pieces)) + stream.close()


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_what_looks_like_a_secret_is_masked(text: str, secret: str) -> None:
    shown = MASKER.text(text)
    assert secret not in shown
    assert "***" in shown


@pytest.mark.parametrize("text", LOOKALIKES)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert MASKER.text(text) == text


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_masked_wherever_the_reads_cut_it(text: str, secret: str) -> None:
    data = f"before\n{text}\nafter\n".encode()
    whole = MASKER.mask(data)
    for cut in range(len(data)):
        assert through(MASKER.stream(), data[:cut], data[cut:]) == whole
    assert through(MASKER.stream(), *(data[at : at + 1] for at in range(len(data)))) == whole


@pytest.mark.parametrize(
    "shown",
    [
        VALUE,
        base64.b64encode(VALUE),
        base64.urlsafe_b64encode(VALUE),
        quote(VALUE, safe="").encode(),
        quote(VALUE).lower().encode(),
        json.dumps(VALUE.decode())[1:-1].encode(),
        json.dumps(json.dumps(VALUE.decode()))[3:-3].encode(),
        VALUE.hex().encode(),
    ],
)
def test_the_value_of_a_secret_is_masked_in_every_form_at_every_cut(shown: bytes) -> None:
    masker = Masker(values=[VALUE])
    data = b"a line\n(" + shown + b") and\nmore"
    whole = b"a line\n(" + MASK + b") and\nmore"
    for cut in range(len(data)):
        assert through(masker.stream(), data[:cut], data[cut:]) == whole


@pytest.mark.parametrize("before", [b"", b"a", b"bc", b"def"])
@pytest.mark.parametrize("behind", [b"", b"x", b"yz"])
def test_a_value_inside_of_base64_is_masked_at_every_alignment(before: bytes, behind: bytes) -> None:
    shown = Masker(values=[VALUE]).mask(base64.b64encode(before + VALUE + behind))
    assert MASK in shown
    left = shown.replace(MASK, b"")
    assert len(left) <= len(base64.b64encode(before + behind)) + 4


def test_a_secret_of_several_lines_is_masked_as_a_whole_and_by_its_lines() -> None:
    masker = Masker(values=[b"first line of it\nsecond line of it\n"])
    data = b"x first line of it\nsecond line of it y\n> second line of it\n"
    for cut in range(len(data)):
        assert through(masker.stream(), data[:cut], data[cut:]) == b"x *** y\n> ***\n"


def test_where_a_text_was_cut_no_part_of_a_known_value_is_left() -> None:
    masker = Masker(values=[VALUE])
    whole = f"it is {VALUE.decode()}"
    for end in range(6, len(whole)):
        assert masker.text(f"{whole[:end]}…") == "it is …", end
    assert masker.text(f"{whole}…") == "it is ***…"
    assert masker.text("it is s") == "it is s", "what was not cut keeps its last letters"


def test_the_longest_of_several_values_is_masked() -> None:
    assert Masker(values=[b"abcdef", b"abcdefghij"]).mask(b"abcdefghij abcdefg") == b"*** ***g"


def test_values_too_short_to_be_told_from_words_are_left_alone() -> None:
    assert forms(b"abc") == set()
    assert Masker(values=[b"abc"]).mask(b"abcabc") == b"abcabc"


@given(st.binary(min_size=6, max_size=40), st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 200))
def test_any_value_is_masked_at_any_cut(value: bytes, before: bytes, behind: bytes, cut: int) -> None:
    masker = Masker(values=[value])
    shown = through(masker.stream(), (before + value + behind)[:cut], (before + value + behind)[cut:])
    stripped = value.strip(b"\r\n")
    if len(stripped) >= 6:
        assert stripped not in shown.replace(MASK, b"")


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_pieces_make_no_difference(pieces: list[bytes]) -> None:
    assert through(MASKER.stream(), *pieces) == MASKER.mask(b"".join(pieces))


@given(st.lists(st.sampled_from([b"password", b": ", b"=", b"tok", b"en ", b"x", b"\n", b"'", b'"', b" ", b"abc12"])))
def test_pieces_make_no_difference_where_there_is_much_to_hide(pieces: list[bytes]) -> None:
    assert through(MASKER.stream(), *pieces) == MASKER.mask(b"".join(pieces))


def test_a_private_key_is_masked_line_by_line_and_its_frame_stays() -> None:
    shown = MASKER.mask(b"key:\n" + PEM + b"done\n")
    assert shown == b"key:\n-----BEGIN EC PRIVATE KEY-----\n***\n-----END EC PRIVATE KEY-----\ndone\n"


def test_a_private_key_that_never_ends_does_not_hide_what_follows() -> None:
    assert MASKER.mask(b"-----BEGIN PRIVATE KEY-----\nMIIE\nit failed, sorry!\n").endswith(b"\nit failed, sorry!\n")


def test_keys_that_are_not_named_are_not_masked() -> None:
    assert Masker(["ssn"]).text("ssn=123-45-6789 password=x1y2z3") == "ssn=*** password=x1y2z3"


def test_a_line_without_an_end_is_given_out_in_time() -> None:
    stream = MASKER.stream()
    data = b"word " * 40_000
    shown = stream.feed(data)
    assert len(shown) > len(data) // 2
    assert shown + stream.close() == data


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 40_000), min_size=1, max_size=6),
    st.lists(st.integers(1, 9000), min_size=1, max_size=4),
    st.sampled_from([b"x", b"curl -u ", b"token=", b"a b ", b"://a:", b"s3cr"]),
)
def test_a_known_value_in_a_line_without_an_end_is_masked_wherever_the_line_is_cut(
    places: list[int], sizes: list[int], between: bytes
) -> None:
    data = between * (40_000 // len(between))
    for place in sorted(places, reverse=True):
        data = data[:place] + VALUE + data[place:]
    stream, shown, at = Masker(["token"], [VALUE]).stream(), [], 0
    for size in cycle(sizes):
        if at >= len(data):
            break
        shown.append(stream.feed(data[at : at + size]))
        at += size
    assert VALUE not in b"".join([*shown, stream.close()])


@pytest.mark.parametrize("text", ["password=hunter22", "token: abc123def", f"Bearer {JWT}", "://ann:hunter22@host"])
def test_a_guess_in_a_long_line_holds_also_near_a_cut(text: str) -> None:
    """What is near the end of a piece waits for the next one."""
    for before in range(8100, 8230, 7):
        line = (b"ab " * 3000)[:before] + b" " + text.encode() + b" " + b"cd " * 9000 + b"\n"
        shown = through(MASKER.stream(), *(line[at : at + 1024] for at in range(0, len(line), 1024)))
        assert b"hunter22" not in shown and b"abc123def" not in shown and JWT.encode() not in shown, before


def test_a_secret_longer_than_any_line_is_masked_to_its_end() -> None:
    stream = MASKER.stream()
    shown = b"".join(stream.feed(b"password=" * (at == 0) + b"x1" * 20_000) for at in range(20)) + stream.feed(
        b" end\n"
    )
    assert shown + stream.close() == b"password=*** end\n"


def test_what_is_unfinished_is_shown_after_a_pause_unless_it_may_be_a_secret() -> None:
    stream = MASKER.stream()
    assert stream.feed(b"Connecting ... ") + stream.pause() == b"Connecting ... "
    assert stream.feed(b"ok, password: ") + stream.pause() == b"ok, "
    assert stream.feed(b"hun") + stream.pause() == b""
    assert stream.feed(b"ter2x\n") == b"password: ***\n"


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_pause_in_the_middle_of_a_secret_lets_no_more_than_a_few_characters_go(text: str, secret: str) -> None:
    data = f"before {text}\nafter\n".encode()
    for cut in range(len(data)):
        stream = MASKER.stream()
        shown = stream.feed(data[:cut]) + stream.pause() + stream.feed(data[cut:]) + stream.close()
        assert secret.encode() not in shown


def test_no_pause_lets_a_part_of_a_known_value_go() -> None:
    masker = Masker(values=[VALUE])
    data = b"it is " + VALUE + b" now"
    for cut in range(len(data)):
        stream = masker.stream()
        assert stream.feed(data[:cut]) + stream.pause() + stream.feed(data[cut:]) + stream.close() == b"it is *** now"


@given(st.integers(0, 60))
def test_text_from_the_middle_on_is_masked_as_in_the_whole(skip: int) -> None:
    data = b"one\nthe password=abcdef123 two\nthree\nfour"
    shown = through(MASKER.stream(skip), data)
    assert b"abcdef123" not in shown
    start, end = 17, 26
    assert shown == (data[skip:start] + MASK if skip < end else b"") + data[max(skip, end) :]


def test_the_next_argument_is_masked_where_an_option_says_what_it_is() -> None:
    shown = MASKER.words(["pg_dump", "--password", "hunter2x", "--token=abc123def", "-f", "shop.dump"])
    assert shown == ["pg_dump", "--password", "***", "--token=***", "-f", "shop.dump"]


def test_a_masked_text_is_masked_as_it_is() -> None:
    once = MASKER.text(f"password=abc1234 {JWT}")
    assert MASKER.text(once) == once


def test_text_that_is_no_utf8_is_otherwise_left_as_it_is() -> None:
    data = bytes(range(256)) * 3 + b" password=abc1234 " + b"\xff\xfe\x80"
    assert MASKER.mask(data) == data.replace(b"abc1234", MASK)


@pytest.mark.parametrize("piece", [b"curl ", b"cookie: a", b"sk-", b"ey", b"-ey", b"://a:", b"password=${", b"token='"])
def test_a_line_made_to_be_slow_is_masked_before_anybody_gives_up(piece: bytes) -> None:
    data = piece * (128 * 1024 // len(piece)) + b"\npassword=hunter22\n"
    assert MASKER.mask(data).endswith(b"\npassword=***\n")

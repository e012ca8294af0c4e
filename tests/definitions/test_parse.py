"""What a file may hold, and that nothing in it can harm the reader."""

from __future__ import annotations

import gc
import random
import resource
import time

import pytest

from jobd.definitions.characters import MAX_BYTES
from jobd.definitions.parse import MAX_NODES, parse, plain
from jobd.definitions.problems import Malformed

FILE = "f.yaml"


def value(text: str) -> object:
    node = parse(f"a: {text}\n".encode(), FILE)
    assert node is not None
    return plain(node)["a"]


def refusal(content: bytes) -> str:
    with pytest.raises(Malformed) as refused:
        parse(content, FILE)
    (problem,) = refused.value.problems
    return str(problem)


MEANINGS: list[tuple[str, object]] = [
    *((word, True) for word in ("true", "True", "TRUE")),
    *((word, False) for word in ("false", "False", "FALSE")),
    *((word, None) for word in ("", "~", "null", "Null", "NULL")),
    *((word, word) for word in ("yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF")),
    *((word, word) for word in ("y", "Y", "n", "N", "tRUE", "nULL", "None", "nil", "undefined", "t", "f")),
    *((text, text) for text in ("1:30", "1:30:00", "190:20:30", "12:34:56.7", "00:00", "-1:30")),
    *(
        (text, text)
        for text in ("2026-12-24", "2026-12-24T18:00", "2001-12-14t21:59:43.10-05:00", "2026-12-24 18:00:00")
    ),
    *((text, text) for text in ("1_000", "0b101", "0B1", "0X1F", "0O17", "1,000", "1e", "e3", ".", "+", "--1", "1-2")),
    *(
        (text, text)
        for text in ("1.2.3", "1.2.3.4", "0x", "0o", "0o8", "0xg", "12h", "90s", "512KiB", "1/2", "5%", "=")
    ),
    *(
        (text, text)
        for text in ("..", "...x", "+.", "-.", "1..2", "0.1.2", "1e5e5", "١٢", "½", "é", "日本", "a\u00a0b")
    ),
    ("0", 0),
    ("-0", 0),
    ("+12", 12),
    ("12", 12),
    ("-7", -7),
    ("0o17", "0o17"),
    ("0o0", "0o0"),
    ("0x1F", 31),
    ("0xff", 255),
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -(2**63)),
    ("1.5", 1.5),
    (".5", 0.5),
    ("5.", 5.0),
    ("-1.5e3", -1500.0),
    ("1e3", 1000.0),
    ("01.5", 1.5),
    ('"017"', "017"),
    ("'true'", "true"),
    ('"null"', "null"),
    ('"1"', "1"),
    ("''", ""),
    ('"\\u00e9"', "é"),
    ('"a\\tb"', "a\tb"),
    ("|\n  x\n  y", "x\ny\n"),
    (">\n  x\n  y", "x y\n"),
    ("|-\n  017", "017"),
    ("[a, 1, true]", ["a", 1, True]),
    ("{on: no, y: n}", {"on": "no", "y": "n"}),
    ("[]", []),
    ("{}", {}),
]

REFUSALS: list[tuple[str, str]] = [
    ("017", 'f.yaml:1:4: 017 is ambiguous (write 0o17 for octal, 17, or "017")'),
    ("-017", "is ambiguous"),
    ("00", "is ambiguous"),
    ("08", "is ambiguous"),
    (".nan", "is not a finite number"),
    (".NaN", "is not a finite number"),
    (".inf", "is not a finite number"),
    ("-.INF", "is not a finite number"),
    ("+.inf", "is not a finite number"),
    ("1e400", "is too large"),
    ("9223372036854775808", "does not fit 64 bits"),
    ("-9223372036854775809", "does not fit 64 bits"),
    ("0x8000000000000000", "does not fit 64 bits"),
    ("9" * 6000, "does not fit 64 bits"),
    ("1" * 300_000, "is larger than 256 KiB"),
    ("!!str 1", "the tag tag:yaml.org,2002:str is not allowed"),
    ("!!int 1", "the tag"),
    ("!!binary aGk=", "the tag"),
    ("!!set {a, b}", "the tag"),
    ("!!python/object/apply:os.system [id]", "the tag"),
    ("!!python/name:os.system", "the tag"),
    ("! 1", "the tag !"),
    ("!x [a]", "the tag !x"),
    ("{a: 1, a: 2}", 'the key "a" is given twice (first in line 1)'),
    ("{1: x}", 'the key 1 is not a text (put it in quotes: "1")'),
    ("{true: x}", "the key true is not a text"),
    ("{~: x}", "the key null is not a text"),
    ("{1.5: x}", "the key 1.5 is not a text"),
    ("{[a]: x}", "a key must be a text"),
    ("{{a: b}: x}", "a key must be a text"),
    ('"\\0"', "a text must not hold a NUL character"),
    ('"\\ud800"', "is not YAML"),
    ("*nowhere", "*nowhere is not defined above (&nowhere)"),
    ("{<<: 1}", "<< takes a mapping"),
    ("{<<: [1]}", "<< takes a mapping"),
    ("[a, b", "is not YAML"),
    ("b: c", "is not YAML"),
    ("%x", "is not YAML"),
    ("@x", "is not YAML"),
    ("`x", "is not YAML"),
]


@pytest.mark.parametrize(("text", "meaning"), MEANINGS)
def test_a_plain_scalar_means_what_the_core_schema_says(text: str, meaning: object) -> None:
    found = value(text)
    assert found == meaning
    assert type(found) is type(meaning)


@pytest.mark.parametrize(("text", "said"), REFUSALS, ids=lambda text: text[:20])
def test_what_two_readers_could_take_differently_is_refused(text: str, said: str) -> None:
    assert said in refusal(f"a: {text}\n".encode())


def test_the_tables_of_surprises_are_long() -> None:
    assert len(MEANINGS) + len(REFUSALS) >= 100


def test_every_value_and_key_knows_its_place() -> None:
    node = parse("a: 1\nb:\n  - x\n  - {c: é, d: 2}\n".encode(), FILE)
    assert node is not None
    inner = node.value["b"].value[1].value["d"]
    assert str(inner.place) == "f.yaml:4:15"
    assert str(inner.key) == "f.yaml:4:12"


def test_aliases_and_merge_keys_are_expanded_earlier_ones_first() -> None:
    node = parse(b"x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], a: 9}\nw: *x\n", FILE)
    assert node is not None
    assert plain(node)["z"] == {"a": 9, "b": 2, "c": 4}
    assert plain(node)["w"] == {"a": 1, "b": 2}


def test_a_quoted_merge_key_is_a_key_like_any_other() -> None:
    node = parse(b'"<<": {a: 1}\n', FILE)
    assert node is not None
    assert plain(node) == {"<<": {"a": 1}}


@pytest.mark.parametrize("content", [b"", b"\n", b"# nothing\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_document_is_none(content: bytes) -> None:
    assert parse(content, FILE) is None


def test_a_byte_order_mark_is_passed_over() -> None:
    node = parse(b"\xef\xbb\xbfa: 1\n", FILE)
    assert node is not None
    assert plain(node) == {"a": 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\nb: \xff\n", "f.yaml:2:4: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "f.yaml:1:1: byte 0xff is not UTF-8"),
        (b"a: 1\n\0b", "f.yaml:2:1: holds a NUL character"),
        (b"a: \x07\n", "f.yaml:1:4: is not YAML: control characters are not allowed"),
        (b"\xed\xa0\x80: 1\n", "f.yaml:1:1: byte 0xed is not UTF-8"),
        (b"a:\n\t- b\n", "f.yaml:2:1: is not YAML: found character that cannot start any token (indent with spaces"),
        (b"a: 1\n---\nb: 2\n", "f.yaml:2:1: holds a second document; put it into a file of its own"),
        (b"&a [*a]\n", "f.yaml:1:5: *a stands for something that contains it"),
        (b"a: &a\n  b: {<<: *a}\n", "*a stands for something that contains it"),
        (b"a: &x 1\nb: 2\na: 3\n", 'f.yaml:3:1: the key "a" is given twice (first in line 1)'),
    ],
)
def test_hazards_in_the_text_are_named_with_their_place(content: bytes, said: str) -> None:
    assert said in refusal(content)


def laughs() -> bytes:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    return "\n".join(lines).encode()


def merge_bomb() -> bytes:
    lines = ["a0: &a0 {" + ", ".join(f"k{i}: v" for i in range(100)) + "}"]
    lines += [
        f"a{level}: &a{level} {{" + ", ".join(f"m{i}: {{<<: *a{level - 1}}}" for i in range(50)) + "}"
        for level in range(1, 7)
    ]
    return "\n".join(lines).encode()


HOSTILE = {
    "billion laughs": laughs(),
    "quadratic blowup": b"a: &a [" + b"x," * 4000 + b"]\nb: [" + b"*a," * 4000 + b"]\n",
    "merge bomb": merge_bomb(),
    "cycle": b"&a [*a]",
    "100k brackets": b"[" * 100_000,
    "100k braces": b"{a: " * 50_000,
    "nested question marks": b"? " * 3000,
    "nested dashes": b"- " * 3000,
    "6000 digits": b"a: " + b"9" * 6000,
    "6000 digits in a list": b"a: [" + b"9" * 6000 + b"]",
    "10 MB scalar": b"a: " + b"x" * 10_000_000,
    "too many values": b"a: [" + b"x," * MAX_NODES + b"]",
    "deep by aliases": b"".join(
        b"a%d: &a%d %s%s%s\n" % (i, i, b"[" * 9, b"*a%d" % (i - 1) if i else b"x", b"]" * 9) for i in range(5)
    ),
    "python tag": b"!!python/object/apply:os.system ['touch /tmp/owned']",
    "10k anchors then nested": b"".join(b"- &a%d x\n" % i for i in range(12_000)),
    "unclosed quote": b'a: "' + b"x\n" * 100_000,
    "many documents": b"---\n" * 10_000,
    "long key": b"k" * 200_000 + b": 1",
    "tabs": b"\t" * 100_000,
    "alias storm": b"a: &a x\nb: [" + b"*a," * 20_000 + b"]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_no_time_and_no_memory(name: str) -> None:
    # What other tests have left in memory is not to be looked through for garbage on this one's account.
    gc.collect()
    gc.freeze()
    try:
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        refusal(HOSTILE[name])
        took = time.process_time() - started
    finally:
        gc.unfreeze()
    assert took < 1
    # Ten megabytes of input are there already; what counts is what reading them adds.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024


def test_the_limits_themselves_are_allowed() -> None:
    deepest = b"[" * 31 + b"x" + b"]" * 31
    assert parse(b"a: " + deepest, FILE) is not None
    assert "deeper than 32" in refusal(b"a: [" + deepest + b"]")
    assert parse(b"a: [" + b"x," * (MAX_NODES - 4) + b"]", FILE) is not None
    assert parse(b"#" * MAX_BYTES, FILE) is None


def test_random_bytes_and_mutations_never_raise_anything_but_malformed() -> None:
    chance = random.Random(7)
    seed = b"defaults: &d {timeout: 30m}\njobs:\n  a: {<<: *d, command: [x, 'y'], env: {A: \"1\"}}\n"
    for _ in range(3000):
        content = bytearray(seed)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(content))
            content[at : at + chance.randint(0, 3)] = bytes(
                chance.choices(b"[]{}&*!|>'\"%@`:,-?# \n\t\0\xffabc0", k=chance.randint(0, 3))
            )
        try:
            node = parse(bytes(content), FILE)
        except Malformed as malformed:
            assert malformed.problems[0].place.line >= 1
        else:
            assert node is None or plain(node) is not Ellipsis

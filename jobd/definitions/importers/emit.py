"""Definitions as YAML that a person would have written: keys in the order of reading, quotes where they are needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobd.definitions.scalars import resolve

_PLAIN = re.compile(
    r"[A-Za-z0-9_/.@*%+=-](?:[A-Za-z0-9_/.@*%+=,~ ()!:&|;$?<>^'\"{}\[\]-]*[A-Za-z0-9_/.@*%+=~()-])?", re.ASCII
)
_PLAIN_IN_FLOW = re.compile(
    r"(?:[A-Za-z0-9_/.+=]|-+[A-Za-z0-9_/.])(?:[A-Za-z0-9_/.@*%+=~ ()-]*[A-Za-z0-9_/.@*%+=()-])?", re.ASCII
)
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_WIDTH = 120
_SHORT = {0x07: "\\a", 0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}


def comment(text: str, indent: str = "") -> str:
    """Text as comment lines; what could end a comment or move a terminal is shown escaped."""
    return "".join(f"{indent}# {_printable(line)}".rstrip() + "\n" for line in text.split("\n"))


def mapping(words: Mapping[str, Any], indent: str) -> str:
    """The keys of a mapping in block style, one under the other."""
    return "".join(f"{indent}{_key(key)}:{_value(value, indent)}\n" for key, value in words.items())


def scalar(value: Any) -> str:
    """A scalar as a value in block style."""
    if isinstance(value, str):
        return value if _is_plain(value, _PLAIN) else _quoted(value)
    return _literal(value)


def _value(value: Any, indent: str) -> str:
    if isinstance(value, str) and "\n" in value and _fits_block(value):
        lines = value.split("\n")
        kept = "" if value.endswith("\n") else "-"
        body = lines[:-1] if value.endswith("\n") else lines
        return f" |{kept}\n" + "\n".join(f"{indent}  {line}" if line else "" for line in body)
    on_one_line = flow(value)
    if isinstance(value, list | dict) and value and len(indent) + len(on_one_line) > _WIDTH - 20:
        return "\n" + (
            mapping(value, indent + "  ") if isinstance(value, dict) else _items(value, indent + "  ")
        ).rstrip("\n")
    return f" {scalar(value)}" if not isinstance(value, list | dict) else f" {on_one_line}"


def _items(values: Sequence[Any], indent: str) -> str:
    return "".join(
        f"{indent}- {scalar(value) if not isinstance(value, list | dict) else flow(value)}\n" for value in values
    )


def flow(value: Any) -> str:
    """A value on one line, as it may stand inside brackets."""
    match value:
        case dict():
            return "{" + ", ".join(f"{_key(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str():
            return value if _is_plain(value, _PLAIN_IN_FLOW) else _quoted(value)
        case _:
            return _literal(value)


def _literal(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _key(key: str) -> str:
    return key if _KEY.fullmatch(key) and _is_text(key) else _quoted(key)


def _is_plain(text: str, pattern: re.Pattern[str]) -> bool:
    """Whether YAML reads the bare text as this very text."""
    if not pattern.fullmatch(text) or text.startswith(("- ", "? ", "*", "&", "!", "%", "@", "|", ">")) or text == "-":
        return False
    return ": " not in text and " #" not in text and not text.endswith(":") and _is_text(text)


def _is_text(text: str) -> bool:
    try:
        return resolve(text) == text and isinstance(resolve(text), str)
    except ValueError:
        return False


def _fits_block(text: str) -> bool:
    """Whether a literal block gives back every character."""
    lines = text.split("\n")
    is_clean = all(line.isprintable() and line == line.rstrip() for line in lines)
    return is_clean and bool(lines[0]) and not lines[0].startswith(" ") and not text.endswith("\n\n")


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    if code in _SHORT:
        return _SHORT[code]
    if char.isprintable():
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def document(
    parts: Iterable[tuple[str, Mapping[str, Any], Sequence[str]]], shared: Mapping[str, Any], head: str = ""
) -> str:
    """A whole file: what all jobs share as defaults, then the jobs, each below comments of its own."""
    text = comment(head) if head else ""
    if shared:
        text += "defaults:\n" + mapping(shared, "  ")
    text += "jobs:\n"
    is_empty = True
    for name, words, remarks in parts:
        is_empty = False
        text += "".join(comment(remark, "  ") for remark in remarks)
        own = {key: value for key, value in words.items() if key not in shared}
        text += f"  {_key(name)}:\n" + mapping(own, "    ")
    return text if not is_empty else text.removesuffix("jobs:\n") + "jobs: {}\n"

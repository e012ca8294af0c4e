"""systemd's command lines (systemd.service(5)): prefixes, quoting, specifiers and variables, as words or shell text."""

from __future__ import annotations

import os
import pwd
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from jobd.definitions.importers.unitfiles import Unit

_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "s": " ",
}
_CODE = re.compile(r"x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\$", re.ASCII)
_WHOLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_SPECIFIER = re.compile(r"%(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """One command of a unit."""

    words: tuple[str, ...]
    ignores_failure: bool = False
    keeps_dollars: bool = False
    """`:`: variables are not put in."""
    remarks: tuple[str, ...] = ()

    @property
    def is_literal(self) -> bool:
        return self.keeps_dollars or not any("$" in word for word in self.words)

    def shell(self) -> str:
        """The command for /bin/sh, every word as systemd would pass it."""
        text = " ".join(_for_shell(word, literal=self.keeps_dollars) for word in self.words)
        return f"{text} || :" if self.ignores_failure else text


def calls(text: str, unit: Unit, user: str | None) -> list[Call]:
    """The commands of one Exec line. Raises ValueError where systemd would refuse it."""
    groups: list[list[str]] = [[]]
    for word, is_quoted in split(text):
        if word == ";" and not is_quoted:
            groups.append([])
        else:
            groups[-1].append(";" if word == "\\;" and not is_quoted else word)
    return [_call(words, unit, user) for words in groups if words]


def _call(words: list[str], unit: Unit, user: str | None) -> Call:
    remarks: list[str] = []
    program = words[0]
    prefixes = program[: len(program) - len(program.lstrip("@-:+!|"))]
    program = program[len(prefixes) :]
    rest = words[1:]
    if not program:
        raise ValueError("there is no program in the command")
    if "@" in prefixes and rest:
        remarks.append(f"@: the program would be told that its name is {rest[0]!r}")
        rest = rest[1:]
    if set("+!|") & set(prefixes) and user not in (None, "root"):
        remarks.append(f"{prefixes}: the command would run with more rights than those of {user}")
    filled = [expand(word, unit, user, remarks) for word in (program, *rest)]
    return Call(tuple(filled), "-" in prefixes, ":" in prefixes, tuple(remarks))


def split(text: str) -> list[tuple[str, bool]]:
    """The words of a line as systemd splits them, and whether any part of each was quoted."""
    found: list[tuple[str, bool]] = []
    word, quote, is_open, is_quoted, at = "", "", False, False, 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\" and at < len(text) and not (text[at] == ";" and not is_open):
            taken, at = _escape(text, at)
            word, is_open = word + taken, True
        elif quote:
            quote = "" if char == quote else quote
            word += char if quote else ""
        elif char in "\"'":
            quote, is_open, is_quoted = char, True, True
        elif char in " \t\n":
            if is_open:
                found.append((word, is_quoted))
            word, is_open, is_quoted = "", False, False
        else:
            word, is_open = word + char, True
    if quote:
        raise ValueError("a quote is not closed")
    return [*found, (word, is_quoted)] if is_open else found


def _escape(text: str, at: int) -> tuple[str, int]:
    if text[at] in _ESCAPES:
        return _ESCAPES[text[at]], at + 1
    match = _CODE.match(text, at)
    if match is None:
        return "\\" + text[at], at + 1
    digits = match[1] or match[3] or match[4]
    return chr(int(digits, 16) if digits else int(match[2], 8)), match.end()


def _for_shell(word: str, *, literal: bool) -> str:
    if literal or "$" not in word:
        return shlex.quote(word)
    if (whole := _WHOLE.fullmatch(word)) is not None:
        # systemd splits the value of such a word at blanks, as the shell does.
        return f"${whole[1]}"
    text, at = "", 0
    for match in _VARIABLE.finditer(word):
        text += _quoted(word[at : match.start()]) + (f'"${{{match[1]}}}"' if match[1] else "'$'")
        at = match.end()
    return text + _quoted(word[at:])


def _quoted(text: str) -> str:
    return shlex.quote(text) if text else ""


def expand(text: str, unit: Unit, user: str | None, remarks: list[str]) -> str:
    """The text with its specifiers put in; one that is not known here is left, and told."""

    def put_in(match: re.Match[str]) -> str:
        found = _SPECIFIERS.get(match[1])
        if found is None:
            remarks.append(f"the specifier %{match[1]} is left as it is")
            return match[0]
        return found(unit, user)

    return _SPECIFIER.sub(put_in, text)


def unescaped(name: str) -> str:
    """A part of a unit's name as the path or text it stands for."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), name.replace("-", "/"))


def _home(user: str | None) -> str:
    try:
        return pwd.getpwnam(user or "root").pw_dir
    except KeyError:
        return "/root"


def _uid(user: str | None) -> str:
    try:
        return str(pwd.getpwnam(user or "root").pw_uid)
    except KeyError:
        return user or "0"


def _always(text: str) -> Callable[[Unit, str | None], str]:
    return lambda _unit, _user: text


_SPECIFIERS: dict[str, Callable[[Unit, str | None], str]] = {
    "%": _always("%"),
    "n": lambda unit, _: unit.name,
    "N": lambda unit, _: unit.name.rpartition(".")[0],
    "p": lambda unit, _: unit.prefix,
    "P": lambda unit, _: unescaped(unit.prefix),
    "i": lambda unit, _: unit.instance,
    "I": lambda unit, _: unescaped(unit.instance),
    "j": lambda unit, _: unit.prefix.rpartition("-")[2],
    "J": lambda unit, _: unescaped(unit.prefix.rpartition("-")[2]),
    "f": lambda unit, _: "/" + unescaped(unit.instance or unit.prefix).lstrip("/"),
    "u": lambda _, user: user or "root",
    "U": lambda _, user: _uid(user),
    "h": lambda _, user: _home(user),
    "s": _always("/bin/sh"),
    "t": _always("/run"),
    "S": _always("/var/lib"),
    "C": _always("/var/cache"),
    "L": _always("/var/log"),
    "E": _always("/etc"),
    "T": _always("/tmp"),  # noqa: S108 - what the specifier stands for
    "V": _always("/var/tmp"),  # noqa: S108 - as above
    "H": lambda _unit, _user: os.uname().nodename,
    "l": lambda _unit, _user: os.uname().nodename.partition(".")[0],
    "v": lambda _unit, _user: os.uname().release,
}

"""Which programs may run where `shell_allowlist` is set, and what of a shell text runs without a shell.

A text is taken only where a shell could have done nothing with it but run one program with these arguments. It is
then run that way, so that what a shell would make of it does not matter. The disk is asked through a port.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from jobd.core.model import Action, Command, Shell
from jobd.core.shown import shown

_PLAIN = r"[A-Za-z0-9_@%+=:,./-]"
_WORD = re.compile(rf"""(?:{_PLAIN}|'[^']*'|"[^"$`\\]*")+""", re.ASCII)
_PIECE = re.compile(rf"""({_PLAIN}+)|'([^']*)'|"([^"$`\\]*)\"""", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=", re.ASCII)
_ENTRY = re.compile(rf"{_PLAIN}+", re.ASCII)
_LOADS_CODE = re.compile(
    r"LD_|PYTHON|PERL|RUBY|NODE_|GIT_|BASH_ENV$|BASH_FUNC|ENV$|SHELLOPTS$|BASHOPTS$|IFS$|GCONV_PATH$"
)
# fmt: off
LAUNCHERS = frozenset({
    "ash", "awk", "bash", "busybox", "chroot", "csh", "dash", "doas", "docker", "ed", "env", "expect", "find",
    "flock", "gawk", "gdb", "git", "ionice", "irb", "ksh", "less", "lua", "make", "man", "mawk", "more", "nawk",
    "nice", "node", "nohup", "nsenter", "parallel", "perl", "php", "psql", "python", "python3", "rsync", "ruby",
    "run-parts", "runuser", "scp", "script", "sed", "setpriv", "setsid", "sh", "sqlite3", "ssh", "stdbuf", "strace",
    "su", "sudo", "systemd-run", "tar", "tclsh", "time", "timeout", "unshare", "vi", "vim", "watch", "xargs", "zip",
    "zsh",
})
# fmt: on
"""Programs whose arguments can have them start any other: a list that has one of them holds nothing back."""


class Disk(Protocol):
    """What is known of programs by looking."""

    def find(self, name: str) -> str | None:
        """The first program of this name on the fixed PATH."""
        ...

    def real(self, path: str) -> str | None:
        """Where a path leads once every symbolic link is followed; None where nothing is there."""
        ...


@dataclass(frozen=True, slots=True)
class Allowlist:
    """The programs that may run: bare names and absolute paths. An empty one holds nothing back."""

    entries: tuple[str, ...]
    disk: Disk

    def __bool__(self) -> bool:
        return bool(self.entries)

    def argv(self, action: Action) -> tuple[str, ...] | None:
        """What is executed for a shell text or a command, None for other work. Raises ValueError where it may not be.

        The program comes as the path that the list leads to: nobody can put another in its place in between.
        """
        match action:
            case Shell(text):
                return self.admit(words(text))
            case Command(argv):
                return self.admit(argv)
        return None

    def admit(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The vector with its program as the path on the list. Raises ValueError for one that is not on it."""
        program = argv[0]
        if program in self.entries:
            path = program if program.startswith("/") else self.disk.find(program)
        else:
            path = self._same_as(program)
        if path is None:
            raise ValueError(f"{shown(program)} is not on shell_allowlist ({', '.join(self.entries)})")
        return (path, *argv[1:])

    def _same_as(self, program: str) -> str | None:
        """The entry's path that is the same program under the same name.

        The name counts too: one file can be many programs, as busybox is, each by the name it is called by.
        """
        path = program if program.startswith("/") else self.disk.find(program) if "/" not in program else None
        if path is None or (real := self.disk.real(path)) is None:
            return None
        for entry in self.entries:
            listed = entry if entry.startswith("/") else self.disk.find(entry)
            if listed is not None and _name(listed) == _name(path) and self.disk.real(listed) == real:
                return listed
        return None


def words(text: str) -> tuple[str, ...]:
    """The words of a text that is one simple command. Raises ValueError where a shell would see anything else in it."""
    if not all(character.isprintable() for character in text.strip(" ")):
        raise ValueError(f"shell_allowlist takes one line of printable characters, and {shown(text)} is more than that")
    found, at, text = [], 0, text.strip(" ")
    while at < len(text):
        word = _WORD.match(text, at)
        if word is None or text[word.end() : word.end() + 1] not in ("", " "):
            place = at if word is None else word.end()
            raise ValueError(
                f"shell_allowlist takes one simple command, and {shown(text[place])} (character {place + 1}) "
                "means more to a shell (quote what is only text)"
            )
        found.append(word[0])
        at = word.end()
        while text[at : at + 1] == " ":
            at += 1
    if not found:
        raise ValueError("is empty (give a program and its arguments)")
    if _ASSIGNMENT.match(found[0]):
        raise ValueError(f"shell_allowlist takes no assignment before a command ({shown(found[0])}; use env:)")
    return tuple("".join(a or b or c for a, b, c in _PIECE.findall(word)) for word in found)


def entry_fault(entry: str) -> str | None:
    """Why a text cannot stand on the list; None if it can."""
    if not _ENTRY.fullmatch(entry):
        return f"{shown(entry)} is no program (write a name like ls, or an absolute path)"
    if "/" in entry and (
        not entry.startswith("/") or entry.endswith("/") or {"..", ".", ""} & set(entry[1:].split("/"))
    ):
        return f"{shown(entry)} is neither a bare name nor a plain absolute path"
    return None


def loads_code(variable: str) -> bool:
    """Whether a variable of this name has programs run or load what somebody else wrote."""
    return _LOADS_CODE.match(variable) is not None


def _name(path: str) -> str:
    return path.rpartition("/")[2]

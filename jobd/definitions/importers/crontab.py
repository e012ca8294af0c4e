"""The lines of a crontab as cron reads them: settings, commands, comments, and lines it would refuse.

By crontab(5) and by Debian's cron 3.0pl1-162 itself, on which what the manual leaves open was tried out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobd.definitions.importers import crontimes
from jobd.definitions.importers.crontimes import Times
from jobd.definitions.problems import Place, Problem

MAX_BYTES = 1024 * 1024
MAX_LINES = 10_000
_LONGEST_COMMAND = 998
_SETTING = re.compile(r"""[ \t]*("[^"]*"|'[^']*'|[^ \t=]*)[ \t]*=[ \t]*(.*)""", re.DOTALL)
_QUOTED = re.compile(r"""(?:"([^"]*)"|'([^']*)')[ \t]*""", re.DOTALL)
_USER = re.compile(r"[^ \t]+")
_BLANKS = re.compile(r"[ \t]+")
_OPTION = re.compile(r"-[A-Za-z]\S*[ \t]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that runs something."""

    place: Place
    times: Times
    user: str | None
    """None in the crontab of a user, who is the one."""
    command: str
    stdin: str | None
    settings: tuple[tuple[str, str], ...]
    """Variables set above the line; the last one of a name counts."""
    comment: str
    """The comment lines that stand directly above."""
    remarks: tuple[str, ...] = ()
    """What else the line said, and is not in the fields above."""


@dataclass(frozen=True, slots=True)
class Crontab:
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    """Lines that cron would not take."""


def read(content: bytes, file: str, *, is_system: bool) -> Crontab:
    """All lines of a crontab; in system form a user stands before each command. Never raises."""
    if len(content) > MAX_BYTES or content.count(b"\n") > MAX_LINES:
        return _nothing(file, f"is too large for a crontab (at most {MAX_BYTES >> 20} MiB and {MAX_LINES:,} lines)")
    if b"\0" in content:
        return _nothing(file, "holds NUL characters: it is no crontab")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Crontab((), (Problem(Place(file, line, 1), "", "is not UTF-8 (convert it with iconv)"),))
    reader = _Reader(file, is_system)
    for number, row in enumerate(text.split("\n"), 1):
        reader.take(row, number)
    return Crontab(tuple(reader.entries), tuple(reader.problems + _unfinished(text, file)))


def _nothing(file: str, why: str) -> Crontab:
    return Crontab((), (Problem(Place(file, 1, 1), "", why),))


def _unfinished(text: str, file: str) -> list[Problem]:
    last = text.rpartition("\n")[2].strip()
    if not last or last.startswith("#"):
        return []
    place = Place(file, text.count("\n") + 1, 1)
    return [
        Problem(place, "", "has no newline at its end, for which cron ignores the line; it is imported all the same")
    ]


class _Reader:
    """Takes line after line and keeps what the next ones need: the settings so far, and the comment just read."""

    def __init__(self, file: str, is_system: bool) -> None:
        self.entries: list[Entry] = []
        self.problems: list[Problem] = []
        self._file, self._is_system = file, is_system
        self._settings: dict[str, str] = {}
        self._comment: list[str] = []

    def take(self, line: str, number: int) -> None:
        text = line.lstrip(" \t")
        if text.startswith("#"):
            self._comment.append(text.lstrip("#").strip())
            return
        comment, self._comment = self._comment, []
        if not text.strip(" \t\r"):
            return
        place = Place(self._file, number, 1)
        if (setting := _setting(line)) is not None:
            # cron keeps the rank of a name that is set again; what counts is the last value.
            self._settings[setting[0]] = setting[1]
            return
        try:
            self.entries.append(self._entry(text, place, " ".join(filter(None, comment))))
        except ValueError as error:
            self.problems.append(Problem(place, "", f"is not imported: {error}"))

    def _entry(self, text: str, place: Place, comment: str) -> Entry:
        remarks = []
        if text.startswith("-"):
            text = text[1:].lstrip(" \t")
            remarks.append("the leading - (no syslog entry, in cronie) has no counterpart")
        times, rest = _times(text)
        user = None
        if self._is_system:
            user, rest = _user(rest)
        if (option := _OPTION.match(rest)) is not None:
            remarks.append(f"{option[0].strip()} before the command is left out: it is an option of some crons")
            rest = rest[option.end() :]
        if rest.endswith("\r"):
            rest = rest[:-1]
            remarks.append("the line ends with a carriage return, which cron hands to the command; it is left out")
        if not rest.strip():
            raise ValueError("there is no command")
        if len(rest.encode()) > _LONGEST_COMMAND:
            remarks.append(f"the command is longer than the {_LONGEST_COMMAND} bytes that cron takes")
        command, stdin = split_at_percent(rest)
        if not command.strip():
            raise ValueError("there is no command before the first %")
        return Entry(place, times, user, command, stdin, tuple(self._settings.items()), comment, tuple(remarks))


def _setting(line: str) -> tuple[str, str] | None:
    """The variable that a line sets; None where cron reads the line as a command, or refuses it as one."""
    match = _SETTING.fullmatch(line)
    if match is None or not match[1]:
        return None
    name = match[1][1:-1] if match[1][0] in "\"'" else match[1]
    value = match[2].rstrip(" \t\r")
    if not value:
        return None
    if value[0] in "\"'":
        quoted = _QUOTED.fullmatch(value)
        if quoted is None:
            return None
        value = (quoted[1] if quoted[1] is not None else quoted[2]).rstrip(" \t")
    return name, value


def _times(text: str) -> tuple[Times, str]:
    count = 1 if text.startswith("@") else 5
    words = _BLANKS.split(text, count)
    if "=" in words[0]:
        raise ValueError("cron takes neither an empty value without quotes nor unbalanced quotes for a setting")
    if len(words) <= count:
        is_command = len(words) == count
        raise ValueError("there is no command" if is_command else f"five time fields are needed, not {text[:40]!r}")
    return crontimes.read(words[:count]), words[count]


def _user(rest: str) -> tuple[str, str]:
    match = _USER.match(rest)
    if match is None:
        raise ValueError("there is no user and no command")
    after = rest[match.end() :].lstrip(" \t")
    if not after.strip():
        raise ValueError("there is no command after the user (is this the crontab of a user, without user names?)")
    return match[0], after


def split_at_percent(text: str) -> tuple[str, str | None]:
    r"""The command, and its standard input if a bare `%` stands in the line: further ones are newlines, `\%` is `%`."""
    command, at, is_escaped = "", 0, False
    while at < len(text):
        char = text[at]
        at += 1
        if is_escaped:
            command = command[:-1] + char if char == "%" else command + char
            is_escaped = False
        elif char == "%":
            return command, _input(text[at:])
        else:
            command += char
            is_escaped = char == "\\"
    return command, None


def _input(text: str) -> str:
    r"""What comes after the first `%`. Here a backslash before a backslash escapes what follows, unlike before it."""
    given, is_escaped = "", False
    for char in text:
        if is_escaped and char != "%":
            given += "\\"
        is_newline = char == "%" and not is_escaped
        is_escaped = char == "\\"
        if not is_escaped:
            given += "\n" if is_newline else char
    given += "\\" if is_escaped else ""
    return given if not given or given.endswith("\n") else given + "\n"

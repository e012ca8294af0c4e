"""A crontab's lines as drafts of jobs that do exactly what cron did: its shell, environment, directory and habits."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Literal

from jobd.definitions.importers import naming, runparts
from jobd.definitions.importers.cronrule import CronRule
from jobd.definitions.importers.crontab import Entry
from jobd.definitions.importers.drafts import Draft
from jobd.definitions.problems import Problem

Dialect = Literal["debian", "cronie"]
_PATH = "/usr/bin:/bin"
_SH = frozenset({"/bin/sh", "/usr/bin/sh"})
_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*(?:[ \t]+[A-Za-z0-9_@%+=:,./-]+)*[ \t]*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OF_THE_SHELL = re.compile(
    r"[.:]|alias|bg|break|case|cd|command|continue|do|eval|exec|exit|export|fc|fg|for|getopts|hash|if|jobs|kill|local"
    r"|read|readonly|return|set|shift|source|then|times|trap|type|ulimit|umask|unalias|unset|until|wait|while"
)
_OF_CRON = frozenset({"MAILTO", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING", "CRON_TZ", "LOGNAME"})
_AS_CRON = {
    "timeout": 0,
    "catch_up": "skip",
    "overlap": "allow",
    "allow_background": True,
    "limits": {"file_size": "unlimited"},
}
"""cron ends nothing, catches up on nothing, lets runs overlap, leaves alone what a command started, limits no file."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a crontab does not say itself."""

    stem: str
    """What the names of its jobs begin with; empty for nothing."""
    zone: str
    """The host's."""
    dialect: Dialect = "debian"
    owner: str | None = None
    """Whom the crontab of a user runs as, where that is not jobd's own user."""


def draft(entry: Entry, about: Circumstances) -> Draft:
    settings = dict(entry.settings)
    words: dict[str, Any] = {}
    remarks = list(entry.remarks)
    if entry.comment:
        words["description"] = entry.comment[:500]
    words |= _action(entry.command, settings.get("SHELL", "/bin/sh"))
    words["schedule"] = entry.times.expression
    words |= _who(entry.user or about.owner)
    words |= _surroundings(settings, remarks)
    if entry.stdin is not None:
        words["stdin"] = entry.stdin
    zone = _zone(settings, words, about, remarks)
    if about.dialect == "cronie" and settings.get("RANDOM_DELAY", "").isdecimal():
        words["jitter"] = f"{int(settings['RANDOM_DELAY'])}m"
    if entry.times.at_boot:
        remarks.append("cron runs it whenever cron is started first after a boot; @boot is once for each boot")
    if entry.times.is_random:
        remarks.append(f"a random time of cronie; {entry.times.expression} is drawn once for all from the job's name")
    if not entry.times.at_boot and not entry.times.is_random and not entry.times.is_possible:
        remarks.append("cron never runs this line: no day of any year is like that")
    problems = tuple(Problem(entry.place, "", remark) for remark in remarks)
    hints = (about.stem, naming.purpose(entry.command))
    rules = () if entry.times.is_random else (CronRule(entry.times, zone),)
    return Draft(hints, entry.place, words | _AS_CRON, rules, problems)


def drafts(entry: Entry, about: Circumstances, *, splits: bool) -> tuple[Draft, ...]:
    """The drafts of one line: one, or with `splits` one for each script of a run-parts directory."""
    whole = draft(entry, about)
    parts = runparts.split(entry.command) if splits else ()
    if not parts:
        return (whole,)
    remark = Problem(
        entry.place, "", "run-parts starts one script after the other; as jobs of their own they start together"
    )
    found = []
    for script, command in parts:
        words = _without_action(whole.words) | _action(command, dict(entry.settings).get("SHELL", "/bin/sh"))
        hints = (naming.purpose(entry.command), os.path.basename(script))
        found.append(Draft(hints, entry.place, _ordered(words), whole.old, (*whole.problems, remark)))
    return tuple(found)


def _without_action(words: Any) -> dict[str, Any]:
    return {key: value for key, value in words.items() if key not in ("command", "shell")}


def _ordered(words: dict[str, Any]) -> dict[str, Any]:
    first = ("description", "command", "shell")
    return {key: words[key] for key in first if key in words} | {k: v for k, v in words.items() if k not in first}


def _action(text: str, shell: str) -> dict[str, Any]:
    """The command line under the shell that cron would have taken; no shell where it makes no difference."""
    if shell not in _SH:
        return {"command": [shell, "-c", text]}
    words = text.split()
    is_plain = _PLAIN.fullmatch(text) and not _OF_THE_SHELL.fullmatch(words[0]) and "=" not in words[0]
    return {"command": words} if is_plain else {"shell": text}


def _who(user: str | None) -> dict[str, Any]:
    """`user`, also as FreeBSD's `user:group/class`."""
    if user is None:
        return {}
    name, _, group = user.partition("/")[0].partition(":")
    return {"user": name} | ({"group": group} if group else {})


def _surroundings(settings: dict[str, str], remarks: list[str]) -> dict[str, Any]:
    """Directory and environment as cron gives them: little, and what the crontab sets."""
    env = {"PATH": _PATH, "SHELL": "/bin/sh"}
    for key, value in settings.items():
        if key in _OF_CRON:
            remarks.extend(_of_cron(key, value))
        elif not _VARIABLE.fullmatch(key):
            remarks.append(f"the variable {key!r} is left out: a job's variables are letters, digits and _")
        else:
            env[key] = value
    home = settings.get("HOME", "")
    if home.startswith("/"):
        return {"cwd": home, "env": env}
    if home:
        remarks.append(f"HOME={home} is no absolute path: the command starts in the home directory of its user")
    return {"env": env}


def _of_cron(key: str, value: str) -> list[str]:
    match key:
        case "MAILTO" if value:
            return [f"cron mails the output to {value} (MAILTO); jobd keeps it: jobd-ctl logs"]
        case "MAILFROM" | "CONTENT_TYPE" | "CONTENT_TRANSFER_ENCODING":
            return [f"{key}={value} is for the mail that cron sends, and left out"]
        case "LOGNAME":
            return [f"LOGNAME={value} is left out: cron takes no other name than the user's, and so does jobd"]
    return []


def _zone(settings: dict[str, str], words: dict[str, Any], about: Circumstances, remarks: list[str]) -> str:
    """The zone of the old rule; the new one is what CRON_TZ asks for."""
    wanted = settings.get("CRON_TZ", "").removeprefix(":")
    if not wanted:
        return about.zone
    words["timezone"] = wanted
    if about.dialect == "cronie":
        return wanted
    remarks.append(
        f"Debian's cron goes by the host's time ({about.zone}) and not by CRON_TZ; cronie goes by it, as the job does"
    )
    return about.zone

"""A systemd service as jobd's words: what it runs, as whom, under which limits, and every setting that has no word."""

from __future__ import annotations

import base64
import re
from typing import Any

from jobd.definitions.importers import actions, execlines, timespans
from jobd.definitions.importers.reading import Reading
from jobd.definitions.importers.unitfiles import Setting, Unit
from jobd.definitions.problems import Problem

_DEFAULT_STOP = 90.0
# What says nothing about the work itself, is looked at with another setting, or asks for what jobd does in any case.
_SILENT = re.compile(
    r"Description|Documentation|SourcePath|DefaultDependencies|Type|Syslog(?:Identifier|Facility|Level)|LogLevelMax"
    r"|GuessMainPID|TimeoutSec|TimeoutStopSec|RestartSec"
    r"|(?:CPU|Memory|IO|Tasks)Accounting|RefuseManualSt(?:art|op)|IOSchedulingPriority"
)
_NAMED_OUTPUT = ("StandardOutput", "StandardError")
_PLAIN_OUTPUT = ("journal", "inherit", "syslog", "null", "journal+console", "kmsg")
_LIMITS = {
    "MemoryMax": "memory",
    "MemoryLimit": "memory",
    "CPUQuota": "cpu",
    "TasksMax": "tasks",
    "IOWeight": "io",
    "LimitNOFILE": "files",
    "LimitFSIZE": "file_size",
    "LimitCORE": "core",
}
_IO_CLASSES = {"0": "none", "1": "realtime", "2": "best-effort", "3": "idle"}
_EXIT_STATUSES = {
    "USAGE": 64,
    "DATAERR": 65,
    "NOINPUT": 66,
    "NOUSER": 67,
    "NOHOST": 68,
    "UNAVAILABLE": 69,
    "SOFTWARE": 70,
    "OSERR": 71,
    "OSFILE": 72,
    "CANTCREAT": 73,
    "IOERR": 74,
    "TEMPFAIL": 75,
    "PROTOCOL": 76,
    "NOPERM": 77,
    "CONFIG": 78,
}
_SIZE = re.compile(r"\d+(?:\.\d+)?[KMGT]?", re.ASCII)


def read(unit: Unit) -> tuple[dict[str, Any], list[Problem]]:
    """The words of the job a service is, and what they do not say."""
    reading = Reading(unit)
    if description := reading.text("Unit", "Description"):
        reading.words["description"] = description
    actions.read(reading)
    _surroundings(reading)
    _time(reading)
    _limits(reading)
    _outcome(reading)
    _output(reading)
    reading.rest("Unit", "Service", silent=_SILENT)
    return reading.words, reading.problems


def _surroundings(reading: Reading) -> None:
    _account(reading)
    _folder(reading)
    words = reading.words
    if env := _environment(reading):
        words["env"] = env
    files = [reading.filled(one.value, one) for one in reading.all("Service", "EnvironmentFile")]
    if files:
        words["env_file"] = files[0] if len(files) == 1 else files
    if umask := reading.text("Service", "UMask"):
        words["umask"] = umask
    if nice := reading.text("Service", "Nice"):
        words["nice"] = int(nice) if nice.lstrip("+-").isdecimal() else nice
    if io := reading.text("Service", "IOSchedulingClass"):
        level = reading.text("Service", "IOSchedulingPriority")
        words["ionice"] = _IO_CLASSES.get(io, io) + (f":{level}" if level and io not in ("3", "idle") else "")
    if score := reading.text("Service", "OOMScoreAdjust"):
        words["oom_score_adjust"] = int(score) if score.lstrip("+-").isdecimal() else score
    if reading.text("Service", "KillMode") in ("process", "none") or reading.text("Service", "Type") == "forking":
        words["allow_background"] = True


def _account(reading: Reading) -> None:
    """Who does the work; where only systemd could make them up, nobody does it unasked."""
    if reading.user is not None:
        reading.words["user"] = reading.user
    if group := reading.text("Service", "Group"):
        reading.words["group"] = group
    for setting in reading.all("Service", "DynamicUser")[-1:]:
        if timespans.is_true(setting.value):
            reading.words["enabled"] = False
            reading.tell(setting, "the job is not enabled: give it a user of its own first")


def _folder(reading: Reading) -> None:
    folder = reading.text("Service", "WorkingDirectory", "/")
    if folder.startswith("-") and folder != "-~":
        reading.tell(reading.all("Service", "WorkingDirectory")[-1], "the directory has to be there for the job")
        folder = folder[1:]
    if folder not in ("~", "-~"):
        reading.words["cwd"] = folder


def _environment(reading: Reading) -> dict[str, str]:
    env: dict[str, str] = {}
    for setting in reading.all("Service", "Environment"):
        try:
            pairs = [reading.filled(word, setting) for word, _ in execlines.split(setting.value)]
        except ValueError as error:
            reading.tell(setting, f"is left out: {error}")
            continue
        for pair in pairs:
            key, equals, value = pair.partition("=")
            if equals:
                env[key] = value
            else:
                reading.tell(setting, f"{pair!r} sets nothing")
    return env


def _time(reading: Reading) -> None:
    """systemd sets no limit to a oneshot service unless told to, nor to others that run."""
    key = "TimeoutStartSec" if reading.text("Service", "Type") == "oneshot" else "RuntimeMaxSec"
    limit = _span(reading, key)
    if key == "TimeoutStartSec" and limit is None:
        limit = _span(reading, "TimeoutSec")
    reading.words["timeout"] = timespans.shown(limit) if limit and limit != float("inf") else 0
    for other in ("RuntimeMaxSec", "TimeoutStartSec"):
        if other != key and (found := reading.all("Service", other)) and found[-1].value != "infinity":
            reading.tell(found[-1], f"is left out: the timeout of the job is {key}")
    stop = _span(reading, "TimeoutStopSec")
    if limit or stop is not None:
        stop = _DEFAULT_STOP if stop is None else stop
        reading.words["kill_after"] = timespans.shown(stop) if stop != float("inf") else "1d"


def _span(reading: Reading, key: str) -> float | None:
    found = reading.all("Service", key)
    if not found:
        return None
    try:
        return timespans.span(found[-1].value)
    except ValueError as error:
        reading.tell(found[-1], f"is left out: {error}")
        return None


def _limits(reading: Reading) -> None:
    limits: dict[str, Any] = {}
    for key, word in _LIMITS.items():
        found = reading.all("Service", key)
        if not found or found[-1].value == "infinity":
            continue
        value = found[-1].value.rpartition(":")[2]
        if word in ("memory", "file_size") and not _SIZE.fullmatch(value):
            reading.tell(found[-1], "is left out: only sizes can be said")
            continue
        limits[word] = int(value) if value.isdecimal() else value
    # A service has no usual limit, as a job has.
    reading.words["limits"] = {"file_size": "unlimited"} | limits


def _outcome(reading: Reading) -> None:
    """Which endings are well, and whether another try follows."""
    statuses = [0]
    for setting in reading.all("Service", "SuccessExitStatus"):
        for word in setting.value.split():
            if word.isdecimal() or word in _EXIT_STATUSES:
                statuses.append(_EXIT_STATUSES.get(word) or int(word))
            else:
                reading.tell(setting, f"{word} is left out: only exit statuses can be said")
    if len(statuses) > 1:
        reading.words["success_exit_status"] = sorted(set(statuses))
    restarts = reading.all("Service", "Restart")
    if restarts and restarts[-1].value != "no":
        _restart(reading, restarts[-1])


def _restart(reading: Reading, setting: Setting) -> None:
    if setting.value not in ("on-failure", "on-abnormal", "on-abort", "on-watchdog"):
        reading.tell(setting, "is left out: a job that ends well is not started again")
        return
    burst = reading.text("Unit", "StartLimitBurst", "5")
    base = _span(reading, "RestartSec")
    retry = {"strategy": "fixed", "base": timespans.shown(0.1 if base is None else base), "jitter": 0}
    reading.words["retry"] = {**retry, "max_attempts": int(burst) if burst.isdecimal() and int(burst) else 5}
    reading.tell(setting, "becomes a retry after every failure, as often as StartLimitBurst, however long that takes")


def _output(reading: Reading) -> None:
    for key in _NAMED_OUTPUT:
        for setting in reading.all("Service", key)[-1:]:
            if setting.value not in _PLAIN_OUTPUT:
                reading.tell(setting, "jobd keeps the output itself: jobd-ctl logs")
    data = "".join(one.value for one in reading.all("Service", "StandardInputData"))
    if data:
        reading.words["stdin"] = _decoded(data)
    given = reading.all("Service", "StandardInputText")
    if given:
        reading.words["stdin"] = "".join(_unescape(reading.filled(one.value, one)) + "\n" for one in given)
    if (found := reading.all("Service", "StandardInput")) and found[-1].value not in ("null", "data"):
        reading.tell(found[-1], "the job's input is empty")


def _decoded(data: str) -> str:
    try:
        return base64.b64decode("".join(data.split())).decode("utf-8", "replace")
    except ValueError:
        return ""


def _unescape(text: str) -> str:
    return "".join(word for word, _ in execlines.split('"' + text.replace('"', '\\"') + '"')) if "\\" in text else text

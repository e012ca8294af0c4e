"""A job as a systemd timer and service that do the same, and every word of it that they cannot say."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobd.core import schedule
from jobd.core.cron import Cron
from jobd.core.model import Command, Job, Shell
from jobd.core.once import Once
from jobd.core.schedule import After, Boot, Every
from jobd.definitions.exporters import bounds, calendars, sandbox

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SAID = frozenset(
    (
        *("description", "command", "shell", "schedule", "timezone", "day_match", "jitter", "catch_up"),
        *("timeout", "kill_after", "user", "group", "cwd", "env", "env_file", "umask", "nice", "ionice"),
        *("oom_score_adjust", "stdin", "allow_background", "success_exit_status"),
    )
)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "%": "%%"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@+=:,./-")


@dataclass(slots=True)
class Pair:
    """The two units of a job, and what they leave out."""

    name: str
    timer: str = ""
    service: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def files(self) -> dict[str, str]:
        """The texts by file name; a job without a schedule needs no timer."""
        timer = {f"{self.name}.timer": self.timer} if self.timer else {}
        return timer | {f"{self.name}.service": self.service}


def export(job: Job, words: Mapping[str, Any]) -> Pair:
    """The units of a job with its effective words. Raises ValueError for work that no unit can run."""
    pair = Pair(job.name)
    timer = _timer(job, pair)
    service = _service(job, words, pair)
    starts = _limit_of_starts(job, pair)
    _leftovers(job, words, pair)
    head = [f"# {line}" for line in (f"jobd's job {job.name}", *(f"not the same: {one}" for one in pair.problems))]
    unit = [f"Description={_value(job.description or job.name)}"]
    pair.service = _text(head, {"Unit": [*unit, *starts], "Service": service})
    if timer:
        install = ["WantedBy=timers.target"]
        pair.timer = _text(head[:1], {"Unit": unit, "Timer": timer, "Install": install})
    return pair


def _text(head: list[str], sections: Mapping[str, list[str]]) -> str:
    blocks = ["\n".join([f"[{name}]", *lines]) for name, lines in sections.items()]
    return "\n".join(head) + "\n" + "\n\n".join(blocks) + "\n"


def _timer(job: Job, pair: Pair) -> list[str]:
    lines: list[str] = []
    for expression in job.schedule.expressions:
        lines += _times(schedule.parse(expression, job.name), expression, job, pair)
    if not lines:
        if job.schedule.expressions:
            pair.problems.append("none of its schedule can be said, so that there is no timer")
        return []
    # systemd would gather what is due in the same minute; jobd is on the second.
    lines.append("AccuracySec=1us")
    if job.schedule.jitter_seconds:
        lines += [f"RandomizedDelaySec={_span(job.schedule.jitter_seconds)}", "FixedRandomDelay=true"]
        pair.problems.append("jitter: systemd draws another delay for it, within the same span")
    _catch_up(job, lines, pair)
    return lines


def _times(rule: schedule.Rule, expression: str, job: Job, pair: Pair) -> list[str]:
    match rule:
        case Every(period=period):
            return [f"OnActiveSec={_span(period.total_seconds())}", f"OnUnitActiveSec={_span(period.total_seconds())}"]
        case After(span=span):
            return [f"OnActiveSec={_span(span.total_seconds())}", f"OnUnitInactiveSec={_span(span.total_seconds())}"]
        case Boot():
            pair.problems.append("@boot: systemd also fires whenever the timer is started")
            return ["OnBootSec=0"]
        case Once():
            return [f"OnCalendar={calendars.of_once(rule)}{'' if rule.has_offset else _zone(job)}"]
        case Cron():
            return _calendar(rule, expression, job, pair)


def _calendar(rule: Cron, expression: str, job: Job, pair: Pair) -> list[str]:
    wanted = rule.requiring_both_days() if job.schedule.day_match == "and" else rule
    try:
        lines = calendars.of_cron(wanted)
    except ValueError as error:
        pair.problems.append(f"schedule: {expression!r} is left out: {error}")
        return []
    gap = job.schedule.dst_gap or ("skip" if rule.is_wildcard else "run")
    overlap = job.schedule.dst_overlap or ("both" if rule.is_wildcard else "first")
    if (gap, overlap) != ("skip", "first") and job.schedule.timezone != "UTC":
        told = f"dst: {expression!r} has gap: {gap}, overlap: {overlap}; systemd skips the gap and the second pass"
        pair.problems.append(told)
    return [f"OnCalendar={line}{_zone(job)}" for line in lines]


def _zone(job: Job) -> str:
    return f" {job.schedule.timezone}" if job.schedule.timezone else ""


def _catch_up(job: Job, lines: list[str], pair: Pair) -> None:
    has_calendar = any(line.startswith("OnCalendar=") for line in lines)
    if job.schedule.catch_up == "skip" or not has_calendar:
        return
    lines.append("Persistent=true")
    window = job.schedule.catch_up_window_seconds
    pair.problems.append(f"catch_up: systemd makes up for a missed time however long ago, not within {_span(window)}")
    if job.schedule.catch_up == "all":
        pair.problems.append("catch_up: all: systemd makes up for the newest missed time alone")


def _service(job: Job, words: Mapping[str, Any], pair: Pair) -> list[str]:
    lines = ["Type=oneshot", f"ExecStart={_command(job, pair)}"]
    # Without a user systemd sets no HOME; jobd's own user is root where it runs as a service.
    lines.append(f"User={job.user or 'root'}")
    if job.user is None:
        pair.problems.append("user: jobd's own user is taken to be root")
    if job.group is not None:
        lines.append(f"Group={job.group}")
    lines.append(f"WorkingDirectory={_value(job.cwd) if job.cwd is not None else '-~'}")
    env = {"PATH": _PATH, "LANG": "C.UTF-8"} | dict(job.env)
    lines += [f"Environment={_word(f'{key}={value}')}" for key, value in env.items()]
    lines += [f"EnvironmentFile={_value(file)}" for file in job.env_files]
    lines += bounds.settings(job, words)
    if job.stdin is not None:
        lines += ["StandardInput=data", f"StandardInputData={base64.b64encode(job.stdin.encode()).decode()}"]
    lines.append(f"TimeoutStartSec={_span(job.timeout_seconds) if job.timeout_seconds else 'infinity'}")
    lines.append(f"TimeoutStopSec={_span(job.kill_after_seconds)}")
    if job.allow_background:
        lines.append("KillMode=process")
    if others := [str(status) for status in job.success_exit_status if status]:
        lines.append(f"SuccessExitStatus={' '.join(others)}")
    if _retries(job):
        lines += ["Restart=on-failure", f"RestartSec={_span(job.retry.base_seconds)}"]
    return lines + sandbox.settings(job.sandbox, _word)


def _command(job: Job, pair: Pair) -> str:
    """The command line; `:` keeps systemd from putting variables in."""
    match job.action:
        case Shell(text=text):
            argv: tuple[str, ...] = ("/bin/sh", "-c", text)
        case Command(argv=argv):
            if any("${payload" in word for word in argv):
                pair.problems.append("command: ${payload…} stays as it is")
            if "/" not in argv[0] and "PATH" in dict(job.env):
                # systemd looks for programs on a path of its own, env on that of the job.
                argv = ("/usr/bin/env", *argv)
        case other:
            raise ValueError(f"{job.name} is a {other.kind} job, which a unit cannot run")
    return ":" + " ".join(map(_word, argv))


def _retries(job: Job) -> int:
    """How many attempts a scheduled run has beyond the first."""
    return 0 if job.retry.strategy == "none" else (job.retry.max_attempts or 1) - 1


def _limit_of_starts(job: Job, pair: Pair) -> list[str]:
    """What goes into [Unit] so that a job that fails quickly is not started for ever."""
    if not _retries(job):
        return []
    attempts, base = _retries(job) + 1, job.retry.base_seconds
    pair.problems.append(
        f"retry: {job.retry.strategy} with {attempts} attempts becomes a restart after {_span(base)} each time; "
        "systemd counts the attempts only where they fail quickly"
    )
    return [f"StartLimitBurst={attempts}", f"StartLimitIntervalSec={_span(max(1.0, 2 * attempts * base))}"]


def _leftovers(job: Job, words: Mapping[str, Any], pair: Pair) -> None:
    """Name the words that nothing above has said."""
    if not job.enabled:
        pair.problems.append("enabled: false: do not enable the timer")
    if job.schedule.overlap != "skip":
        pair.problems.append(f"overlap: {job.schedule.overlap}: systemd starts no second run while one goes on")
    silent = _SAID | {"enabled", "overlap", "retry", "dst", "catch_up_window", "output", "limits", "sandbox"}
    for key in words:
        if key not in silent:
            pair.problems.append(f"{key}: has no counterpart in the units")
    if unsaid := bounds.unsaid(words):
        pair.problems.append(f"limits: {', '.join(unsaid)} is left out")


def _span(total: float) -> str:
    """Seconds as systemd reads them, exactly."""
    if total == int(total):
        whole = int(total)
        for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
            if whole and whole % size == 0:
                return f"{whole // size}{unit}"
        return f"{whole}s"
    return f"{round(total * 1_000_000)}us"


def _word(text: str) -> str:
    """One word of a line, quoted where systemd would split or change it."""
    if text and set(text) <= _PLAIN:
        return text
    return '"' + "".join(_ESCAPES.get(char) or _printable(char) for char in text) + '"'


def _value(text: str) -> str:
    """A text that is a value as a whole; it cannot hold a newline."""
    return "".join("%%" if char == "%" else char if char.isprintable() else " " for char in text).rstrip("\\")


def _printable(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

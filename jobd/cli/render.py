"""How states, outcomes and payloads are shown: the words and tones that several verbs share."""

from __future__ import annotations

import json
import shlex
from datetime import datetime
from typing import Any

from jobd.cli.table import Cell
from jobd.cli.terminal import Tone, safe_line
from jobd.cli.times import instant, lasted, near, told

_TONES = {
    "succeeded": Tone.GOOD,
    "started": Tone.GOOD,
    "failed": Tone.BAD,
    "timeout": Tone.BAD,
    "killed": Tone.BAD,
    "oom": Tone.BAD,
    "lost": Tone.BAD,
    "expired": Tone.BAD,
    "running": Tone.TITLE,
    "retrying": Tone.NOTE,
    "interrupted": Tone.NOTE,
    "cancelled": Tone.NOTE,
    "skipped": Tone.DIM,
    "missed": Tone.NOTE,
    "coalesced": Tone.DIM,
}


def word(text: str | None) -> Cell:
    """A state or an outcome in its tone; `-` where there is none."""
    return Cell(text or "-", _TONES.get(text or "", Tone.PLAIN if text else Tone.DIM))


def ending(run: dict[str, Any]) -> Cell:
    """How a run stands: its state, and for a failure what kind and with which code (`failed: timeout`, `failed: 3`)."""
    state, outcome, code = run["state"], run.get("outcome"), run.get("exit_code")
    if state != "failed" or outcome is None:
        return word(state)
    shown = str(code) if outcome == "failed" and code is not None else outcome
    return Cell(f"failed: {shown}", Tone.BAD)


def when(text: str | None, now: datetime) -> str:
    """How far away an instant of the API is; `-` where there is none."""
    return near(instant(text), now) if text else "-"


def compact(value: Any) -> str:
    """A JSON value on one line; nothing for null."""
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def fields(pairs: list[tuple[str, Any]]) -> list[str]:
    """`key  value` lines of the pairs that have a value (`-` is none), the values aligned, several lines indented."""
    told_pairs = [(key, _text(value)) for key, value in pairs if value not in (None, "", "-", [], {})]
    width = max((len(key) for key, _ in told_pairs), default=0) + 2
    return [f"{key:<{width}}" + text.replace("\n", "\n" + " " * width) for key, text in told_pairs]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return value if isinstance(value, str) else compact(value)


def span(run: dict[str, Any], now: datetime) -> str:
    """How long a run took, or has been at work so far."""
    if run.get("duration") is not None:
        return lasted(run["duration"])
    if run["state"] == "running" and run.get("started_at"):
        return lasted(max(0.0, (now - instant(run["started_at"])).total_seconds()))
    return "-"


def progress(run: dict[str, Any], width: int = 20) -> str:
    """How far a run says it is, as a bar, and what it says it does; nothing where it says nothing."""
    fraction, text = run.get("progress"), run.get("status_text") or ""
    if fraction is None:
        return text
    return f"{bar(int(fraction * width), width)} {fraction:4.0%} {text}".rstrip()


def bar(full: int, width: int) -> str:
    """So much of a width, drawn."""
    return f"[{'#' * full}{'.' * (width - full)}]"


def run_lines(run: dict[str, Any], now: datetime, used: str = "") -> list[str]:
    """Everything about one run, for `show`; `used` is what its last attempt used, in words."""
    return fields(
        [
            ("run", str(run["id"])),
            ("job", run["job"]),
            ("command", shlex.join(run.get("command") or ())),
            ("state", ending(run).text),
            ("error", run.get("error")),
            ("queue", f"{run['queue']}, priority {run['priority']}"),
            ("attempts", f"{run['attempts']} of {run['max_attempts']}"),
            ("trigger", run["trigger"]),
            ("slot", told(run.get("slot"), now)),
            ("due", told(run.get("run_at"), now)),
            ("submitted", told(run.get("created_at"), now)),
            ("started", told(run.get("started_at"), now)),
            ("finished", told(run.get("finished_at"), now)),
            ("took", span(run, now)),
            ("progress", progress(run)),
            ("used", used),
            ("payload", compact(run.get("payload"))),
            ("result", compact(run.get("result"))),
            ("key", run.get("key")),
            ("parent", run.get("parent") and str(run["parent"])),
            ("owner", run.get("owner")),
            ("definition", run.get("spec_version")),
        ]
    )


def snapshot_lines(attempt: dict[str, Any]) -> list[str]:
    """The processes of an attempt as they were when SIGKILL was due; nothing where it never was."""
    seen = attempt.get("snapshot") or []
    rows = [
        f"  {one['pid']} below {one['parent']}  {one['state']}  {one['wchan']}  {one['command'] or one['name']}"
        for one in seen
    ]
    return [f"when SIGKILL was due in attempt {attempt['attempt']}:", *map(safe_line, rows)] if rows else []


def held(pause: dict[str, Any]) -> str:
    """A pause in words: until when, by whom and why."""
    until = f" until {instant(pause['until']):%Y-%m-%d %H:%M}Z" if pause["until"] else ""
    note = f": {pause['note']}" if pause["note"] else ""
    return f"paused{until} by {pause['by']}{note}"

"""The daemon as it answers: what it says is not well, and what of the host it was started before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from jobd import __version__
from jobd.core.names import counted, several
from jobd.supervisor.doctor.finding import Finding, bad, ok, warning
from jobd.supervisor.settings import Settings

_STEPS = {
    "storage": "make room on the disk of state_dir; runs wait until it can be written",
    "definitions": "jobd-ctl check says what is wrong and where",
    "definitions_watch": "raise fs.inotify.max_user_watches; until then changes come with a few seconds' delay",
    "checkpoint": "make room on the disk of state_dir",
    "spawning": "raise TasksMax or memory of the host; ulimit -u",
    "leftover_processes": "end them by hand: they hang in the kernel, or belong to others",
}
_ELSE = "journalctl -u jobd says more"
_FORKSERVER = "jobd: forkserver"
_SCOPE_STEP = "see that systemd-run and D-Bus are there, and restart jobd"


def of_status(seen: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    """What `GET /v1/status` tells of a daemon that answers."""
    workers = seen["workers"]
    told = f"jobd {seen['version']} answers (pid {seen['pid']}), workers {workers['busy']} busy of {workers['max']}"
    yield ok("daemon", told)
    for entry in seen["degraded"]:
        step = _STEPS.get(entry["reason"], _ELSE)
        yield bad("daemon", f"{entry['reason']}: {entry['detail']}", step)
    if not seen["last_reload"]["ok"] and not seen["degraded"]:
        yield bad("reload", f"the last reload, at {seen['last_reload']['at']}, found problems", "jobd-ctl check")
    yield from _doubts(seen, settings)


def _doubts(seen: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    if seen["version"] != __version__:
        step = "systemctl restart jobd (running attempts go on)"
        yield warning("daemon", f"jobd-ctl is {__version__} and the daemon {seen['version']}", step)
    if seen["draining"]:
        yield warning("daemon", "it is ending, and starts nothing more", "systemctl start jobd")
    if os.path.realpath(seen["state_dir"]) != os.path.realpath(settings.state_dir):
        told = f"it works in {seen['state_dir']}, and the settings looked at name {settings.state_dir}"
        yield warning("settings", told, "name its jobd.yaml with --config, or say --user")
    elif settings.config and _changed_since(settings.config, seen["last_reload"]["at"]):
        yield warning("settings", f"{settings.config} was changed after jobd read it", "jobd-ctl reload")
    for problem in seen["problems"]:
        if not problem.startswith("/"):  # those of definitions are found in the files
            yield warning("settings", problem, "mend jobd.yaml, then jobd-ctl reload, or restart where it says so")
    if seen["paused"]:
        yield warning("paused", f"everything is paused by {seen['paused']['by']}", "jobd-ctl resume --all")
    held = [queue["name"] for queue in seen["queues"] if queue["paused"]]
    if held:
        yield warning("paused", f"paused: {several(held)}", f"jobd-ctl resume --queue {held[0]}")
    letters = sum(queue["dead_letters"] for queue in seen["queues"])
    if letters:
        yield warning("dead letters", f"{counted(letters, 'run')} failed for good", "jobd-ctl dead list")


def _changed_since(path: str, started_at: str) -> bool:
    with suppress(OSError):
        return os.stat(path).st_mtime > datetime.fromisoformat(started_at.replace("Z", "+00:00")).timestamp()
    return False


def scope(pid: int, proc: str = "/proc") -> Iterator[Finding]:
    """Whether what runs is apart from jobd's service: then it goes on when that is restarted or killed."""
    own = _group(pid, proc)
    if own is None or not own.endswith(".service"):
        return  # no service of systemd: nobody ends a cgroup
    # Apart it is a service of its own, and what is below jobd here only waits for its end.
    if any(_title(child, proc) == _FORKSERVER for child in _children(pid, proc)):
        told = "the workers are part of the service: a restart ends what runs"
        yield warning("scope", told, _SCOPE_STEP)
    else:
        yield ok("scope", "the workers are a service of their own: a restart leaves them alone")


def _group(pid: int, proc: str) -> str | None:
    with suppress(OSError), open(f"{proc}/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if controllers in ("", "name=systemd"):
                return path
    return None


def _title(pid: int, proc: str) -> str:
    with suppress(OSError), open(f"{proc}/{pid}/cmdline", "rb") as file:
        return os.fsdecode(file.read()).rstrip("\0 ")
    return ""


def _children(pid: int, proc: str) -> list[int]:
    with suppress(OSError), open(f"{proc}/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]
    return []


def arguments(pid: int, proc: str = "/proc") -> tuple[str | None, bool]:
    """The settings a running daemon was started with, by its command line: (--config, --user)."""
    words: list[str] = []
    with suppress(OSError), open(f"{proc}/{pid}/cmdline", "rb") as file:
        words = os.fsdecode(file.read()).split("\0")
    config = None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--config":
            config = following
        elif word.startswith("--config="):
            config = word.partition("=")[2]
    if config and not os.path.isabs(config):
        config = os.path.join(_directory(pid, proc), config)
    return config, "--user" in words


def _directory(pid: int, proc: str) -> str:
    with suppress(OSError):
        return os.readlink(f"{proc}/{pid}/cwd")
    return ""

"""Limits of an attempt as a whole: memory, CPU, tasks and I/O weight of its cgroup, and what the kernel says after.

Only a delegated cgroup has them (see forkserver), and of that only the controllers that the host handed down.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from jobd.core.model import Limits
from jobd.core.spans import show_size
from jobd.work import cgroup
from jobd.work.accounts import Refused

CONTROLLERS = ("cpu", "io", "memory", "pids")
USUAL_TASKS = 512
"""For a job that does not say: a fork bomb ends there, and little else comes near."""
_PERIOD_MICROSECONDS = 100_000


def hand_down(path: str) -> None:
    """Let the groups below this one have the controllers that it has; one that cannot be handed down is not there."""
    for controller in _words(f"{path}/cgroup.controllers"):
        if controller in CONTROLLERS:
            with suppress(OSError):
                cgroup.write(f"{path}/cgroup.subtree_control", f"+{controller}")


def limit(leaf: str | None, limits: Limits) -> tuple[str, ...]:
    """Put the limits in force on the group of an attempt, before anything is in it; what could not be had.

    Raises Refused with what could not be had, unless the job takes what it can get.
    """
    unmet = []
    for word, controller, wanted in _wanted(limits):
        fault = _set(leaf, controller, wanted)
        if fault is None:
            continue
        said = f"limits.{word} cannot be applied: {fault}"
        if not limits.best_effort:
            raise Refused(f"{said} (limits: {{best_effort: true}} runs the job without it)")
        unmet.append(said)
    if leaf is not None and limits.tasks is None:
        # What nobody asked for may be missing.
        with suppress(OSError):
            cgroup.write(f"{leaf}/pids.max", str(USUAL_TASKS))
    return tuple(unmet)


def out_of_memory(leaf: str | None, limits: Limits) -> str | None:
    """What is said of an attempt of which the kernel killed something because memory ran out; None where it did not."""
    if leaf is None or not _number(f"{leaf}/memory.events", "oom_kill"):
        return None
    return said_of_memory(limits)


def said_of_memory(limits: Limits) -> str:
    """What is said of an attempt that ran out of memory."""
    if limits.memory is None:
        return "out of memory: the kernel ended it"
    return f"out of memory: it needed more than {show_size(limits.memory)} (limits.memory)"


def peak_memory(leaf: str | None) -> int:
    """The most bytes that the whole attempt had at once; 0 where the kernel did not count."""
    words = _words(f"{leaf}/memory.peak") if leaf is not None else []
    return int(words[0]) if words and words[0].isdecimal() else 0


def _wanted(limits: Limits) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Each limit that is asked for: its word, its controller, and what is written where."""
    if limits.memory is not None:
        most = [("memory.max", str(limits.memory)), ("memory.swap.max", "0"), ("memory.oom.group", "1")]
        yield "memory", "memory", most
    if limits.cpu is not None:
        quota = round(limits.cpu * _PERIOD_MICROSECONDS)
        yield "cpu", "cpu", [("cpu.max", f"{quota} {_PERIOD_MICROSECONDS}")]
    if limits.tasks is not None:
        yield "tasks", "pids", [("pids.max", str(limits.tasks))]
    if limits.io is not None:
        yield "io", "io", [("io.weight", f"default {limits.io}")]


def _set(leaf: str | None, controller: str, values: list[tuple[str, str]]) -> str | None:
    """Write the files of one limit and read them back; what is wrong, None where nothing is."""
    if leaf is None:
        return "jobd has no cgroup of its own to divide (run it as root under systemd, as its unit does)"
    if controller not in _words(f"{leaf}/cgroup.controllers"):
        return f"this host hands down no {controller} controller of cgroup v2"
    for name, value in values:
        path = f"{leaf}/{name}"
        if name == "memory.swap.max" and not os.path.exists(path):
            continue  # a kernel without swap
        try:
            cgroup.write(path, value)
        except FileNotFoundError:
            return f"this kernel has no {name}"
        except OSError as problem:
            return f"{name}: {problem.strerror}"
        if not _holds(path, value):
            return f"the kernel made {name} {' '.join(_words(path))}"
    return None


def _holds(path: str, wanted: str) -> bool:
    found = " ".join(_words(path))
    if path.endswith("/memory.max"):
        # Memory is counted in pages.
        return found.isdecimal() and 0 <= int(wanted) - int(found) < os.sysconf("SC_PAGE_SIZE")
    return found == wanted


def _number(path: str, name: str) -> int:
    words = _words(path)
    return int(words[words.index(name) + 1]) if name in words else 0


def _words(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []

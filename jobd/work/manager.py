"""What jobd asks of a systemd manager: a place for the forkserver, why it is stopped, and how long that may take."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from jobd.work import cgroup

_ASK_SECONDS = 5.0
_SPAN = re.compile(r"([0-9.]+)([a-z]+)", re.ASCII)
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def runs_this_host() -> bool:
    """Whether this host's PID 1 is a systemd (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def is_there() -> bool:
    """Whether it is, and jobd was started by it."""
    return runs_this_host() and "INVOCATION_ID" in os.environ


def own_unit() -> str | None:
    """The service that the calling process is part of, by the cgroup systemd put it in."""
    path = _own_group() if is_there() else ""
    return os.path.basename(path) if path.endswith(".service") else None


def _own_group() -> str:
    """The cgroup by which systemd knows this process; nothing where there is none."""
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    return next((path for _, controllers, path in lines if controllers in ("", "name=systemd")), "")


def apart_prefix() -> tuple[str, ...]:
    """What starts a command as a transient service of its own; empty where that cannot be.

    There it outlives jobd's own service, has a cgroup to divide, and nothing of the sandbox that jobd is in: a scope
    would be below that too. It inherits no descriptor either.
    """
    unit = own_unit()
    whose = _whose()
    if unit is None or whose is None or shutil.which("systemd-run") is None:
        return ()
    return (
        "systemd-run",
        *whose,
        "--quiet",
        "--collect",
        f"--slice={cgroup.SLICE}",
        "--description=jobd: workers and what they run",
        "-p",
        "Delegate=yes",
        # Workers go on when the forkserver has ended with its jobd; the service is over when the last one is.
        "-p",
        "ExitType=cgroup",
        "-p",
        "OOMPolicy=continue",
        "-p",
        "TasksMax=infinity",
        # Stops go the other way round: when the host goes down, jobd drains before what it started is ended.
        "-p",
        f"Before={unit}",
        "--",
    )


def _whose() -> tuple[str, ...] | None:
    """The option that names the manager jobd was started by: the host's or that of its user; None where it is neither.

    Only root may ask anything of the host's.
    """
    if f"/user@{os.geteuid()}.service/" in _own_group():
        return ("--user",)
    return () if os.geteuid() == 0 else None


def is_restart(unit: str) -> bool:
    """Whether the stop under way is the first half of a restart, by the manager's own list of jobs."""
    jobs = _ask("list-jobs", "--no-legend", "--plain", unit)
    return any(line.split()[1:3] == [unit, "restart"] for line in jobs.splitlines())


def stop_timeout(unit: str) -> float | None:
    """The seconds that a stop of the unit may take (TimeoutStopSec=); None for ever, or where nobody says."""
    return seconds(_ask("show", "--property=TimeoutStopUSec", "--value", unit))


def seconds(text: str) -> float | None:
    """A span as systemd writes it ("1min 30.5s"); None for what is none."""
    found = _SPAN.findall(text)
    if not found or any(word not in _UNITS for _, word in found):
        return None
    return sum(float(number) * _UNITS[word] for number, word in found)


def _ask(*question: str) -> str:
    """What systemctl says; nothing where it does not answer."""
    try:
        answer = subprocess.run(
            ["systemctl", *(_whose() or ()), *question],
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout

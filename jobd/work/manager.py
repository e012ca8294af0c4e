"""What jobd asks of a systemd manager: a scope for the forkserver, and whether a stop is half of a restart."""

from __future__ import annotations

import os
import shutil
import subprocess

_ASK_SECONDS = 5.0


def is_there() -> bool:
    """Whether this host's PID 1 is a systemd (sd_booted(3)) that jobd was started by."""
    return os.path.isdir("/run/systemd/system") and "INVOCATION_ID" in os.environ


def scope_prefix() -> tuple[str, ...]:
    """What starts a command in a delegated scope, where it outlives the service; empty where that cannot be.

    The description names the service whose workers live there.
    """
    if not is_there() or os.geteuid() != 0 or shutil.which("systemd-run") is None:
        return ()
    return (
        "systemd-run",
        "--scope",
        "--quiet",
        "--collect",
        "--slice=jobd.slice",
        "--description=jobd: workers and what they run",
        "-p",
        "Delegate=yes",
        "-p",
        "OOMPolicy=continue",
        "--",
    )


def is_restart(unit: str) -> bool:
    """Whether the stop under way is the first half of a restart, by the manager's own list of jobs."""
    try:
        answer = subprocess.run(
            ["systemctl", "list-jobs", "--no-legend", "--plain", unit],
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(line.split()[1:3] == [unit, "restart"] for line in answer.stdout.splitlines())

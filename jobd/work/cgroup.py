"""The part of the cgroup v2 tree that was delegated to the forkserver: one group for each attempt, killed as a whole.

Without a delegation nothing here is used and descent alone reaches the processes of an attempt (see tree).
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from jobd.core.model import AttemptKey

SLICE = "jobd.slice"
"""Below it are the services and scopes that jobd asks systemd for."""


def own_path() -> str | None:
    """The directory of the cgroup v2 this process is in; None where there is none or it may not be divided."""
    mount = mount_point()
    inside = _path_inside("self")
    if mount is None or inside is None:
        return None
    path = mount + inside.rstrip("/")
    return path if os.access(path, os.W_OK) else None


def make(path: str) -> str:
    """Make a group, or take the one that is there."""
    with suppress(FileExistsError):
        os.mkdir(path, 0o755)
    return path


def enter(path: str) -> None:
    """Move the calling process into a group."""
    write(f"{path}/cgroup.procs", str(os.getpid()))


def write(path: str, text: str) -> None:
    """Write to a file of the cgroup tree. Raises OSError with the kernel's answer, which a buffered file would lose."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def kill(path: str) -> bool:
    """SIGKILL every process of a group and below it, at once; False if the group is gone or the kernel cannot."""
    try:
        write(f"{path}/cgroup.kill", "1")
    except OSError:
        return False
    return True


def members(path: str) -> list[int]:
    """The pids in a group itself, zombies left out."""
    try:
        with open(f"{path}/cgroup.procs", "rb") as file:
            return [int(line) for line in file.read().split()]
    except OSError:
        return []


def remove(path: str) -> None:
    """Remove a group that has become empty; one that is not stays."""
    with suppress(OSError):
        os.rmdir(path)


def kill_attempt_of(pid: int, key: AttemptKey) -> bool:
    """Kill the group of an attempt if the process is in it; False if it is in none that carries the attempt's name."""
    path = path_of(pid)
    if path is None or os.path.basename(path) != f"run-{key}":
        return False
    return kill(path)


def unit_name(runtime_dir: str, key: AttemptKey) -> str:
    """The service that a strict attempt is; the runtime directory says of which jobd."""
    whose = hashlib.sha256(os.fsencode(runtime_dir)).hexdigest()[:8]
    return f"jobd-run-{key.run}-{key.attempt}-{whose}.service"


def unit_path(runtime_dir: str, key: AttemptKey) -> str | None:
    """Where the group of that service is while it runs; None where cgroup v2 is nowhere."""
    mount = mount_point()
    return f"{mount}/{SLICE}/{unit_name(runtime_dir, key)}" if mount is not None else None


def kill_unit(runtime_dir: str, key: AttemptKey) -> None:
    """Kill a strict attempt, if there is one: it hangs below no worker."""
    if (path := unit_path(runtime_dir, key)) is not None:
        kill(path)


def everybody(path: str) -> list[int]:
    """The pids in a group and in those that its processes made below it."""
    return [pid for place, _, _ in os.walk(path) for pid in members(place)]


def path_of(pid: int) -> str | None:
    """The directory of the group of cgroup v2 that a process is in."""
    mount, inside = mount_point(), _path_inside(str(pid))
    return None if mount is None or inside is None else mount + inside


def _path_inside(pid: str) -> str | None:
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    return next((line[3:] for line in lines if line.startswith("0::")), None)


def mount_point() -> str | None:
    """Where cgroup v2 is mounted: not always at /sys/fs/cgroup."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            if after.startswith("cgroup2 "):
                return before.split()[4]
    return None

"""The host itself: its clock, its SQLite, its disk, its systemd and what its kernel hands down."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator

from jobd.core.spans import show_size
from jobd.store.connection import is_sound, linked_version
from jobd.supervisor.clock import host_zone
from jobd.supervisor.doctor.finding import Finding, bad, ok, unknown, warning

_CLOCK_IS_UNSYNCHRONISED = 5
_TIMEX_BYTES = 512
"""More than struct timex has anywhere; of the answer only the state of the clock is read."""
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "fuse.sshfs", "glusterfs"})
_LITTLE, _TIGHT = 64 * 1024 * 1024, 1024 * 1024 * 1024
_LITTLE_PART = 0.05
_FEW_INODES = 1000


def sqlite(version: tuple[int, ...] | None = None) -> Finding:
    """Whether the SQLite that is linked keeps commits."""
    found = linked_version() if version is None else version
    shown = ".".join(map(str, found))
    if is_sound(found):
        return ok("sqlite", f"SQLite {shown}")
    return bad("sqlite", f"SQLite {shown} can lose commits; 3.51.3 or later is needed", "pip install -U apsw")


def _state_of_clock() -> int:
    """What adjtimex(2) says of the kernel's clock; -1 where it may not be asked."""
    return int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))


def clock(state: Callable[[], int] = _state_of_clock) -> Finding:
    """Whether something keeps the clock right: slots are judged by it."""
    found = state()
    if found < 0:
        return unknown("clock", "the kernel does not say whether the clock is kept in time (a container?)")
    if found == _CLOCK_IS_UNSYNCHRONISED:
        step = "timedatectl set-ntp true, or install chrony"
        return warning("clock", "nothing keeps the clock in time: slots drift with it", step)
    return ok("clock", f"kept in time; the time zone is {host_zone()}")


def disk(check: str, directory: str) -> Iterator[Finding]:
    """The room of a directory, and whether its file system is fit for a database."""
    try:
        room = os.statvfs(directory)
    except OSError as error:
        yield unknown(check, f"{directory}: {error.strerror}")
        return
    yield of_room(check, directory, room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize)
    if room.f_files and room.f_favail < _FEW_INODES:
        yield bad(check, f"{directory}: {room.f_favail} inodes are left", "remove files, or name another state_dir")
    kind = file_system(directory)
    if kind in _NETWORK_FILE_SYSTEMS:
        step = "move state_dir to a local disk: the locks and the log of SQLite do not work over a network"
        yield bad(check, f"{directory} is on a network file system ({kind})", step)


def of_room(check: str, directory: str, free: int, size: int) -> Finding:
    """How much is free, and whether that will do."""
    told = f"{directory}: {show_size(free)} of {show_size(size)} free"
    step = "make room, shorten retention in jobd.yaml (then jobd-ctl prune), or move state_dir"
    if free < _LITTLE:
        return bad(check, told, step)
    if free < _TIGHT and free < size * _LITTLE_PART:
        return warning(check, told, step)
    return ok(check, told)


def file_system(directory: str) -> str | None:
    """The type of the file system that a directory is on; None where that cannot be told."""
    device = os.stat(directory).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields, _, rest = line.partition(" - ")
                if fields.split()[2] == wanted:
                    return rest.split()[0]
    except OSError:
        pass  # no /proc: nobody can tell
    return None


def journal(socket: str, wants: list[str]) -> Finding:
    """Whether journald is there; `wants` are the jobs that write into it."""
    if os.path.exists(socket):
        return ok("journal", "journald takes the log")
    if wants:
        step = "start systemd-journald, or take output.journal out of them"
        return warning("journal", f"there is no journald, and {', '.join(wants)} write into it", step)
    return ok("journal", "there is no journald: the log goes to stderr")

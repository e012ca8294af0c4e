"""Processes that cannot be mistaken for later ones of the same pid: who they are, if they live, handles on them."""

from __future__ import annotations

import os

from jobd.core.model import ProcessIdentity

_boot_id = ""


def boot_id() -> str:
    """What names this boot of the kernel."""
    global _boot_id  # noqa: PLW0603 - it never changes while a process lives, and is asked for with every attempt
    if not _boot_id:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            _boot_id = file.read().strip()
    return _boot_id


def stat_fields(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the state on (field 3 of proc(5) is item 0); None without such a process."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(fd, 4096)
    except OSError:
        return None
    finally:
        os.close(fd)
    return text[text.rindex(b")") + 2 :].split()


def of(pid: int) -> ProcessIdentity | None:
    """The identity of the process that has this pid now (a zombie has one too); None if nobody has it."""
    fields = stat_fields(pid)
    return ProcessIdentity(boot_id(), pid, int(fields[19])) if fields else None


def own() -> ProcessIdentity:
    """The identity of the calling process."""
    mine = of(os.getpid())
    assert mine is not None
    return mine


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether exactly this process still runs; a zombie does not."""
    if identity.boot_id != boot_id():
        return False
    fields = stat_fields(identity.pid)
    return fields is not None and int(fields[19]) == identity.start_ticks and fields[0] not in (b"Z", b"X")


def open_pidfd(identity: ProcessIdentity) -> int | None:
    """A pidfd of exactly this process, which the caller closes; None if it is gone.

    The handle is opened first and the identity compared after: what the handle names cannot change any more.
    """
    if identity.boot_id != boot_id():
        return None
    try:
        fd = os.pidfd_open(identity.pid)
    except OSError:
        return None
    fields = stat_fields(identity.pid)
    if fields is None or int(fields[19]) != identity.start_ticks:
        os.close(fd)
        return None
    return fd

"""Who else could have written a file: only root and the daemon's own user may define what the daemon runs."""

from __future__ import annotations

import grp
import os
import pwd
import stat

from jobd.definitions.characters import MAX_BYTES

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def fault_of_file(status: os.stat_result) -> str | None:
    """Why an open file must not be trusted, with what to do about it; None if it may be."""
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_nlink != 1:
        return f"has {status.st_nlink} hard links, so that it can be changed elsewhere (copy it)"
    if status.st_size > MAX_BYTES:
        return f"is larger than {MAX_BYTES // 1024} KiB; split it into several files"
    return fault_of_writers(status)


def fault_of_writers(status: os.stat_result) -> str | None:
    """Why a file's owner or mode lets others write it; None if they do not."""
    return _fault(status, os.geteuid(), sticky_helps=False)


def fault_of_directory(path: str, ours: int | None = None) -> str | None:
    """Why a directory, or one on the way to it, must not be trusted; None if all may be.

    `ours` is the user who has to trust it, and without it that of this process.
    A directory that everyone may write is accepted where it is sticky, as /tmp is: ours stays ours there.
    Raises OSError where one cannot be looked at.
    """
    current = os.path.realpath(path)
    while True:
        status = os.stat(current)
        if not stat.S_ISDIR(status.st_mode):
            return f"{current} is not a directory"
        if fault := _fault(status, os.geteuid() if ours is None else ours, sticky_helps=True):
            return f"{current} {fault}"
        if current == "/":
            return None
        current = os.path.dirname(current)


def _fault(status: os.stat_result, ours: int, *, sticky_helps: bool) -> str | None:
    if status.st_uid not in (0, ours):
        return f"belongs to user {user_of(status.st_uid)} (chown it to root or {user_of(ours)})"
    if not status.st_mode & _WRITABLE_BY_OTHERS or (sticky_helps and status.st_mode & stat.S_ISVTX):
        return None
    if not status.st_mode & stat.S_IWOTH and _is_private(status.st_gid, ours):
        return None
    return f"can be written by others, mode {stat.S_IMODE(status.st_mode):04o} (chmod go-w)"


def _is_private(gid: int, uid: int) -> bool:
    """Whether a group is the own group of an ordinary user and has nobody else in it, as umask 002 counts on."""
    if uid == 0:
        return False
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(uid)
    except KeyError:
        return False
    return group.gr_gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def user_of(uid: int) -> str:
    """The name of a user, or the number of one that has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)

"""Reads files that definitions name, when an attempt starts, and trusts none that a stranger could have written.

A file is read as the user of the job. One that this user may not read is read as jobd, as systemd does, where nobody
but root and jobd's own user could have put it there: a job never gets to see a file by naming it.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from jobd.work.accounts import Account

_MAX_BYTES = 1024 * 1024
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def content(path: str, account: Account) -> bytes:
    """What is in a file. Raises OSError where it cannot be read, ValueError with why it is not trusted."""
    if not account.differs:
        return _read(os.open(path, _OPEN), account)
    try:
        with _acting_as(account):
            fd = os.open(path, _OPEN)
    except PermissionError:
        if fault := _fault_on_the_way(path):
            raise ValueError(f"{account.name} may not read it, and jobd does not for them: {fault}") from None
        fd = os.open(path, _OPEN | os.O_NOFOLLOW)
    return _read(fd, account)


def _read(fd: int, account: Account) -> bytes:
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is not a regular file")
        if fault := _fault_of_writers(status, account):
            raise ValueError(fault)
        if status.st_size > _MAX_BYTES:
            raise ValueError(f"is larger than {_MAX_BYTES // 1024} KiB")
        return os.read(fd, _MAX_BYTES)
    finally:
        os.close(fd)


def _fault_of_writers(status: os.stat_result, account: Account) -> str | None:
    """Who else could say what the job finds in its environment, which decides what it loads; None where nobody."""
    if status.st_uid not in (0, os.geteuid(), account.uid):
        return f"belongs to user {_user(status.st_uid)} (chown it to root or {account.name})"
    of_strangers = stat.S_IWOTH if status.st_gid == account.gid else _WRITABLE_BY_OTHERS
    if status.st_mode & of_strangers:
        return f"can be written by others, mode {stat.S_IMODE(status.st_mode):04o} (chmod go-w)"
    return None


def _fault_on_the_way(path: str) -> str | None:
    """Who but root and jobd could have put something else in this place; None where nobody could."""
    current = "/"
    for name in ["", *filter(None, path.split("/"))]:
        current = os.path.join(current, name)
        status = os.lstat(current)
        if name == ".." or stat.S_ISLNK(status.st_mode):
            return f"{current} leads elsewhere"
        if status.st_uid not in (0, os.geteuid()):
            return f"{current} belongs to user {_user(status.st_uid)}"
        if status.st_mode & _WRITABLE_BY_OTHERS and not status.st_mode & stat.S_ISVTX:
            return f"{current} can be written by others, mode {stat.S_IMODE(status.st_mode):04o}"
    return None


@contextmanager
def _acting_as(account: Account) -> Iterator[None]:
    """Meet the file system as somebody else. What cannot come back ends: nothing may go on as somebody unknown."""
    own = (os.geteuid(), os.getegid(), os.getgroups())
    try:
        os.setgroups(account.groups)
        os.setegid(account.gid)
        os.seteuid(account.uid)
        yield
    finally:
        os.seteuid(own[0])
        os.setegid(own[1])
        os.setgroups(own[2])
        if (os.geteuid(), os.getegid(), os.getgroups()) != own:
            os._exit(os.EX_OSERR)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)

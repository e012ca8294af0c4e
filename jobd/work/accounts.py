"""Whom a job runs as: looked up for every attempt, taken on in a forked child, and checked before the job's code."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from functools import cache


class Refused(Exception):
    """An attempt that cannot be started. `spent` False gives it back: the machine had no room, the job has no fault."""

    def __init__(self, error: str, exit_code: int = 126, *, retryable: bool = False, spent: bool = True) -> None:
        super().__init__(error)
        self.error, self.exit_code, self.retryable, self.spent = error, exit_code, retryable, spent


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str
    differs: bool
    """Not what the worker itself runs as."""


def account_of(user: str | None, group: str | None) -> Account:
    """The account a job asks for; nobody asked for is the worker's own.

    Raises Refused where there is no such user or group, or where it would take root to become them.
    """
    if user is None and group is None:
        return own_account()
    entry = _passwd(user) if user is not None else _own_entry()
    gid = _gid(group) if group is not None else entry.pw_gid
    groups = tuple(sorted({*os.getgrouplist(entry.pw_name, gid)}))
    differs = (entry.pw_uid, gid) != (os.geteuid(), os.getegid())
    if differs and os.geteuid() != 0:
        raise Refused(
            f"only root can run a job as {entry.pw_name}:{gid}, and jobd runs as uid {os.geteuid()}: "
            "run jobd as root, or leave out user and group"
        )
    return Account(entry.pw_name, entry.pw_uid, gid, groups, entry.pw_dir, entry.pw_shell, differs)


@cache
def own_account() -> Account:
    entry = _own_entry()
    return Account(
        entry.pw_name, os.geteuid(), os.getegid(), tuple(os.getgroups()), entry.pw_dir, entry.pw_shell, differs=False
    )


def become(account: Account) -> None:
    """Take on the account for good: groups, then gid, then uid. Raises OSError where any of it did not hold."""
    os.setgroups(account.groups)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    held = (os.getresuid(), os.getresgid(), {*os.getgroups()})
    if held != ((account.uid,) * 3, (account.gid,) * 3, {*account.groups}):
        raise PermissionError(f"the kernel did not make this process {account.name}: it is {held}")
    if account.uid != 0 and _can_return_to_root():
        raise PermissionError(f"after the switch to {account.name} the process could still become root")


def _can_return_to_root() -> bool:
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True


def _passwd(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(user)) if user.isascii() and user.isdigit() else pwd.getpwnam(user)
    except (KeyError, ValueError, OverflowError):
        raise Refused(f"there is no user {user!r} on this host") from None


def _own_entry() -> pwd.struct_passwd:
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return pwd.struct_passwd((str(uid), "x", uid, os.getegid(), "", "/", "/bin/sh"))


def _gid(group: str) -> int:
    try:
        return int(group) if group.isascii() and group.isdigit() else grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        raise Refused(f"there is no group {group!r} on this host") from None

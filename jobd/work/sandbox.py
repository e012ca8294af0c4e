"""Makes the sandbox of an attempt around the calling process: what confinement decided, by means of the kernel.

It fails closed: a step that does not work ends the attempt before any code of the job has run.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from jobd.core.model import NO_SANDBOX, Sandbox
from jobd.work import cgroup, kernel
from jobd.work.bounds import Unmet
from jobd.work.confinement import (
    TEMPORARY,
    Bound,
    Fresh,
    GiveUp,
    Ground,
    Kept,
    Loopback,
    Mounts,
    Namespaces,
    NoNewPrivileges,
    Plan,
    Step,
    plan,
)


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A job's sandbox and the directories that its attempt needs. Falsy where nothing is kept from the job."""

    sandbox: Sandbox = NO_SANDBOX
    own: tuple[str, ...] = ()
    scratch: str | None = None

    def __bool__(self) -> bool:
        return bool(self.sandbox)


def planned(enclosure: Enclosure) -> Plan:
    """The steps into a sandbox, on this host."""
    sandbox = enclosure.sandbox
    ground = Ground(
        is_root=os.geteuid() == 0,
        temporary=tuple(dict.fromkeys(os.path.realpath(path) for path in TEMPORARY if os.path.isdir(path))),
        own=tuple(map(os.path.realpath, enclosure.own)),
        scratch=os.path.realpath(enclosure.scratch) if enclosure.scratch else None,
    )
    paths = tuple(os.path.realpath(path) for path in sandbox.read_write_paths)
    return plan(replace(sandbox, read_write_paths=paths), ground)


def take(steps: Iterable[Step]) -> None:
    """Take these steps for good. Raises Unmet with what could not be had, and why."""
    for step in steps:
        try:
            _take(step)
        except OSError as problem:
            raise Unmet(f"sandbox: {_what(step)}: {_why(problem)}") from None


def _take(step: Step) -> None:
    match step:
        case Namespaces():
            _leave_namespaces(step)
        case Mounts():
            _rearrange(step)
        case Loopback():
            kernel.bring_loopback_up()
        case Bound(numbers):
            kernel.bound_capabilities(numbers)
        case GiveUp(numbers):
            kernel.give_up_capabilities(numbers)
            if any(kernel.held_capabilities() >> number & 1 for number in numbers):
                raise PermissionError(errno.EPERM, "the kernel left this process some of them")
        case NoNewPrivileges():
            kernel.set_no_new_privileges()


def _leave_namespaces(step: Namespaces) -> None:
    uid, gid = os.geteuid(), os.getegid()
    flags = (kernel.NEW_MOUNTS if step.mounts else 0) | (kernel.NEW_NETWORK if step.network else 0)
    kernel.unshare(flags | (kernel.NEW_USER if step.user else 0))
    if step.user:
        # Each id stands for itself: the job is who it was, with rights over its own namespaces alone.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            cgroup.write(f"/proc/self/{name}", text)


def _rearrange(mounts: Mounts) -> None:
    """Copies of what is kept are taken first and put back last: in between, everything else changes."""
    # Directories on the way to what is kept are for everybody to pass, whatever the daemon's own files are.
    os.umask(0o022)
    # Something mounted on the host later would come in writable.
    kernel.set_propagation(is_shared=not mounts.read_only)
    links = {one.path: os.readlink(one.path) for one in mounts.kept if os.path.islink(one.path)}
    trees = [(one, tree) for one in mounts.kept if one.path not in links and (tree := _copy_of(one)) is not None]
    if mounts.read_only:
        kernel.make_read_only("/")
    for place in mounts.fresh:
        _lay(place)
    for path, target in links.items():
        os.symlink(target, path)
    for one, tree in trees:
        _put_back(one, tree, mounts)
        os.close(tree)
    for place in mounts.fresh:
        if place.is_for_devices:
            kernel.remount_read_only(place.path, kernel.NO_SUID | kernel.NO_EXEC)


def _copy_of(kept: Kept) -> int | None:
    try:
        return kernel.clone_tree(kept.path)
    except FileNotFoundError:
        if kept.is_optional:
            return None
        raise FileNotFoundError(errno.ENOENT, f"{kept.path} is not there") from None


def _lay(place: Fresh) -> None:
    if not place.is_for_devices:
        kernel.mount_memory(place.path, 0o1777, kernel.NO_SUID | kernel.NO_DEV)
        return
    kernel.mount_memory(place.path, 0o755, kernel.NO_SUID | kernel.NO_EXEC)
    for name in ("shm", "pts"):
        os.mkdir(f"{place.path}/{name}")
    kernel.mount_terminals(f"{place.path}/pts")
    os.symlink("pts/ptmx", f"{place.path}/ptmx")


def _put_back(kept: Kept, tree: int, mounts: Mounts) -> None:
    if mounts.read_only and not kept.is_writable:
        kernel.make_read_only("", tree)
    if not os.path.exists(kept.path):
        os.makedirs(os.path.dirname(kept.path), exist_ok=True)
        if os.path.isdir(f"/proc/self/fd/{tree}"):
            os.mkdir(kept.path)
        else:
            os.close(os.open(kept.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    kernel.attach_tree(tree, kept.path)


def _what(step: Step) -> str:
    match step:
        case Namespaces(mounts, network, _):
            words = [word for word, is_meant in (("private mounts", mounts), ("no_network", network)) if is_meant]
            return f"{' and '.join(words)} cannot be had"
        case Mounts(read_only=True):
            return "read_only_root cannot be had"
        case Mounts():
            return "private_tmp cannot be had"
        case Loopback():
            return "no_network cannot be had"
        case Bound() | GiveUp():
            return "drop_capabilities cannot be had"
        case NoNewPrivileges():
            return "no_new_privileges cannot be had"


def _why(problem: OSError) -> str:
    reason = problem.strerror or str(problem)
    if problem.errno == errno.ENOSYS:
        return f"this kernel is too old for it (Linux 5.12 has what it takes), {os.uname().release}"
    if problem.errno in (errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS) and os.geteuid() != 0:
        return f"{reason}: this host lets no user but root have namespaces; run jobd as root, or take it out"
    return reason

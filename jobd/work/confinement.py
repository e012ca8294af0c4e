"""Decides how a sandbox is made: which steps a child takes before and after it becomes the user of its job.

Nothing is done here; see sandbox for that.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobd.core import capabilities
from jobd.core.model import Sandbox

TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - not to write to
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "log", "fd", "stdin", "stdout", "stderr")
_WAYS_OUT = (
    *("sys_admin", "sys_ptrace", "sys_module", "sys_rawio", "mknod", "net_admin", "bpf", "perfmon"),
    *("checkpoint_restore", "mac_admin", "mac_override"),
)
"""With these a root job could mount back, reach into other processes, or have another network."""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Leave the namespaces of the host; a user namespace of its own gives a user other than root the right to."""

    mounts: bool
    network: bool
    user: bool


@dataclass(frozen=True, slots=True)
class Fresh:
    """An empty file system of the job's own over a directory."""

    path: str
    is_for_devices: bool = False
    """It has terminals of its own, a directory for shared memory, and gets nothing more than what is kept there."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays reachable where it is, whatever is made read-only or laid over it."""

    path: str
    is_writable: bool = False
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Mounts:
    """The file systems as the job sees them."""

    read_only: bool
    fresh: tuple[Fresh, ...]
    kept: tuple[Kept, ...]


@dataclass(frozen=True, slots=True)
class Loopback:
    """Bring the loopback of a new network up."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Let no program ever have these capabilities again."""

    numbers: frozenset[int]


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Have these capabilities no more."""

    numbers: frozenset[int]


@dataclass(frozen=True, slots=True)
class NoNewPrivileges:
    """No program gives more rights than its caller has: set-user-id bits and file capabilities do nothing."""


Step = Namespaces | Mounts | Loopback | Bound | GiveUp | NoNewPrivileges


@dataclass(frozen=True, slots=True)
class Plan:
    before: tuple[Step, ...] = ()
    """While the process is still the worker's user."""
    after: tuple[Step, ...] = ()
    """Once it is the job's."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan has to reckon with."""

    is_root: bool
    temporary: tuple[str, ...]
    """The directories of TEMPORARY that there are, links followed."""
    own: tuple[str, ...] = ()
    """Directories the attempt finds its files in."""
    scratch: str | None = None
    """The one of them that is its own to write to."""


def plan(sandbox: Sandbox, ground: Ground) -> Plan:
    """The steps that make the sandbox. Whatever of it cannot be had must end the attempt."""
    has_mounts = sandbox.private_tmp or sandbox.read_only_root
    is_apart = has_mounts or sandbox.no_network
    needs_user = is_apart and not ground.is_root
    lost = _lost(sandbox, is_apart=is_apart, needs_user=needs_user)
    before: list[Step] = []
    if is_apart:
        before.append(Namespaces(has_mounts, sandbox.no_network, needs_user))
    if has_mounts:
        before.append(_mounts(sandbox, ground))
    if sandbox.no_network:
        before.append(Loopback())
    after: list[Step] = []
    if lost:
        # Who is not root may not shrink the bounding set: there no program gives anything back instead.
        before += [Bound(lost)] if ground.is_root else []
        after.append(GiveUp(lost))
    if sandbox.no_new_privileges or (lost and not ground.is_root):
        after.append(NoNewPrivileges())
    return Plan(tuple(before), tuple(after))


def _lost(sandbox: Sandbox, *, is_apart: bool, needs_user: bool) -> frozenset[int]:
    # In a user namespace of its own a process has them all, over nothing but its own namespaces.
    if "all" in sandbox.drop_capabilities or needs_user:
        return capabilities.ALL
    names = {*sandbox.drop_capabilities, *(_WAYS_OUT if is_apart else ())}
    return frozenset(map(capabilities.number, names))


def _mounts(sandbox: Sandbox, ground: Ground) -> Mounts:
    fresh: list[Fresh] = []
    kept = [Kept(path) for path in ground.own]
    if ground.scratch is not None:
        kept.append(Kept(ground.scratch, is_writable=True))
    kept += [Kept(path, is_writable=True) for path in sandbox.read_write_paths]
    if sandbox.read_only_root:
        # Disks and memory have names in /dev: root could write to them past every file system.
        fresh.append(Fresh("/dev", is_for_devices=True))
        kept += [Kept(f"/dev/{name}", is_writable=True, is_optional=True) for name in _DEVICES]
    own_places = ground.temporary if sandbox.private_tmp else ("/dev/shm",)  # noqa: S108
    fresh += [Fresh(path) for path in own_places]
    if not sandbox.read_only_root:
        kept = [one for one in kept if any(_is_below(one.path, place.path) for place in fresh)]
    return Mounts(sandbox.read_only_root, tuple(fresh), tuple(sorted(kept, key=lambda one: one.path)))


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")

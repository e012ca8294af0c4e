"""The calls of the kernel that Python has no function for, each raising OSError like os does."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

NEW_MOUNTS, NEW_USER, NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
NO_SUID, NO_DEV, NO_EXEC, READ_ONLY = 2, 4, 8, 1
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE, _SLAVE = 0x20, 0x1000, 0x4000, 1 << 18, 1 << 19
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
"""The same on every machine that Linux has had them on from the start."""
_HERE = -100
_TREE_CLONE, _TREE_CLOEXEC, _AT_RECURSIVE, _AT_EMPTY_PATH, _FROM_EMPTY_PATH = 1, os.O_CLOEXEC, 0x8000, 0x1000, 4
_BOUNDING_READ, _BOUNDING_DROP, _NO_NEW_PRIVILEGES, _AMBIENT, _AMBIENT_CLEAR = 23, 24, 38, 47, 4
_CAPABILITIES_VERSION = 0x20080522
_SET_FLAGS, _GET_FLAGS, _IS_UP = 0x8914, 0x8913, 1
_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags))


def set_propagation(*, is_shared: bool) -> None:
    """From now on no mount of ours is seen outside; `is_shared` lets later ones from outside come in."""
    _checked(_libc.mount(None, b"/", None, _RECURSIVE | (_SLAVE if is_shared else _PRIVATE), None))


def mount_memory(path: str, mode: int, flags: int) -> None:
    """Lay an empty file system in memory over a directory."""
    _checked(_libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags, f"mode={mode:o}".encode()))


def mount_terminals(path: str) -> None:
    """Pseudo-terminals that have nothing to do with those of the host."""
    flags = NO_SUID | NO_EXEC
    _checked(_libc.mount(b"devpts", os.fsencode(path), b"devpts", flags, b"newinstance,ptmxmode=0666,mode=600"))


def remount_read_only(path: str, flags: int) -> None:
    _checked(_libc.mount(None, os.fsencode(path), None, _REMOUNT | _BIND | READ_ONLY | flags, None))


def clone_tree(path: str) -> int:
    """A handle on a copy of what is at `path`, with everything mounted below, that is nowhere to be seen yet."""
    flags = _TREE_CLONE | _TREE_CLOEXEC | _AT_RECURSIVE
    return _checked(_libc.syscall(_OPEN_TREE, _HERE, os.fsencode(path), flags))


def attach_tree(tree: int, path: str) -> None:
    """Put such a copy over `path`."""
    _checked(_libc.syscall(_MOVE_MOUNT, tree, b"", _HERE, os.fsencode(path), _FROM_EMPTY_PATH))


def make_read_only(path: str, tree: int = _HERE) -> None:
    """Make everything from `path` on read-only, all that is mounted below included; "" is the tree itself."""
    setting = struct.pack("=QQQQ", READ_ONLY, 0, 0, 0)
    flags = _AT_RECURSIVE | (0 if path else _AT_EMPTY_PATH)
    _checked(_libc.syscall(_MOUNT_SETATTR, tree, os.fsencode(path), flags, setting, len(setting)))


def bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, _GET_FLAGS, request))[1]
        fcntl.ioctl(sock, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _IS_UP))


def set_no_new_privileges() -> None:
    _checked(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def bound_capabilities(numbers: frozenset[int]) -> None:
    """Take capabilities out of the bounding set; what this kernel does not know is out of it already."""
    for number in sorted(numbers):
        if _libc.prctl(_BOUNDING_READ, number, 0, 0, 0) == 1:
            _checked(_libc.prctl(_BOUNDING_DROP, number, 0, 0, 0))


def give_up_capabilities(numbers: frozenset[int]) -> None:
    """Take capabilities out of every set of the calling process."""
    _checked(_libc.prctl(_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0))
    header = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    sets = ctypes.create_string_buffer(24)
    _checked(_libc.capget(header, sets))
    low, high = _mask(numbers) & 0xFFFFFFFF, _mask(numbers) >> 32
    words = struct.unpack("=6I", sets.raw)
    kept = struct.pack("=6I", *(word & ~(low if place < 3 else high) for place, word in enumerate(words)))
    _checked(_libc.capset(header, kept))


def held_capabilities() -> int:
    """The capabilities that the process has or could come to have, as a mask."""
    wanted, held = (b"CapInh:", b"CapPrm:", b"CapEff:", b"CapAmb:"), 0
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(wanted):
                held |= int(line.split()[1], 16)
    return held


def _mask(numbers: frozenset[int]) -> int:
    return sum(1 << number for number in numbers)


def _checked(answer: int) -> int:
    if answer < 0:
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem))
    return answer

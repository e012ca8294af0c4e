"""Who is at the other end of a Unix socket, told by the kernel; what they may do is decided in `authorise`."""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import socket
import struct
import time
from dataclasses import dataclass

_SO_PEERGROUPS = 59
_CREDENTIALS = struct.Struct("3i")
_GROUP = struct.calcsize("I")
_PYTHONS_MOST_BYTES = 1024
_MOST_GROUPS = 65536
_NAME_KEPT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    pid: int
    uid: int
    gid: int
    groups: frozenset[int]


def identify(connection: socket.socket) -> Peer | None:
    """The peer as it was when it connected (a peer that changes its user later keeps the first one).

    None where the kernel does not say, or names a user it cannot express here: such a peer gets no answer at all.
    """
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, gid = _CREDENTIALS.unpack(raw)
        groups = _groups(connection)
    except (OSError, struct.error):
        return None
    if uid < 0 or uid == overflow_uid():
        return None
    return Peer(pid=pid, uid=uid, gid=gid, groups=groups)


def _groups(connection: socket.socket) -> frozenset[int]:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _PYTHONS_MOST_BYTES)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        raw = _many_groups(connection)
    return frozenset(struct.unpack(f"{len(raw) // _GROUP}I", raw))


def _many_groups(connection: socket.socket) -> bytes:
    """More than 256 groups, which Python's own getsockopt has no room for."""
    room = ctypes.create_string_buffer(_MOST_GROUPS * _GROUP)
    length = ctypes.c_uint32(len(room))
    libc = ctypes.CDLL(None, use_errno=True)
    option = (connection.fileno(), socket.SOL_SOCKET, _SO_PEERGROUPS)
    if libc.getsockopt(*option, room, ctypes.byref(length)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return room.raw[: length.value]


def executable(pid: int) -> str:
    """The program that a process runs, for the audit trail alone; empty where it is gone already."""
    try:
        return os.fsencode(os.readlink(f"/proc/{pid}/exe")).decode("utf-8", "backslashreplace")
    except OSError:
        return ""


def has_account(uid: int) -> bool:
    """Whether the host knows a user of this uid."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def overflow_uid() -> int:
    """The uid that stands for every user the kernel cannot express here; it belongs to nobody in particular."""
    try:
        with open("/proc/sys/kernel/overflowuid", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 65534


class Names:
    """User names by uid, remembered for a minute so that accepting a connection seldom asks the name service."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, str]] = {}

    def of(self, uid: int) -> str:
        """The user's name, or the uid as text where it has none that tells it from another uid."""
        now = time.monotonic()
        at, name = self._known.get(uid, (0.0, ""))
        if not name or now - at > _NAME_KEPT_SECONDS:
            name = _look_up(uid)
            self._known[uid] = (now, name)
        return name


def _look_up(uid: int) -> str:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
    # Directories hold users called "1002": taken at its word, that would be whoever has this uid.
    return str(uid) if name.isdigit() or not name else name

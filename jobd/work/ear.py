"""The socket on which an attempt speaks of itself: NOTIFY_SOCKET, in its own directory, heard by its worker alone.

Only processes below the worker, or of the service that a strict attempt is, are listened to. A sender is known by its
pid as the kernel tells it; one that is gone before its message is read is nobody.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

from jobd.core import notify
from jobd.core.notify import Said
from jobd.work import tree
from jobd.work.accounts import Account

_LONGEST_PATH = 107
_AT_ONCE = 32
_CREDENTIALS = struct.Struct("=iII")
_MOST_DESCRIPTORS = 16
_ROOM = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * _MOST_DESCRIPTORS)


class Ear:
    """Bound as long as the attempt's directory is not its user's yet, so that nobody has a say in what is there."""

    def __init__(self, path: str, account: Account) -> None:
        self.path = path
        self.is_own: Callable[[int], bool] = lambda pid: tree.descends(pid, os.getpid())
        """Whether a process belongs to the attempt."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.bind(path)
            if account.differs:
                os.chown(path, account.uid, account.gid, follow_symlinks=False)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def heard(self) -> Iterator[Said]:
        """What its own processes have said since the last time, a few messages at once."""
        for _ in range(_AT_ONCE):
            try:
                data, sent_along, flags, _ = self._socket.recvmsg(notify.MOST_BYTES, _ROOM)
            except OSError:
                return
            sender = _sender(sent_along)
            if not flags & socket.MSG_TRUNC and sender is not None and self.is_own(sender):
                yield notify.read(data)

    def close(self) -> None:
        self._socket.close()


def listen(path: str, account: Account) -> Ear | None:
    """An ear at this path; None where the path is too long for a socket. Raises OSError."""
    return Ear(path, account) if len(os.fsencode(path)) <= _LONGEST_PATH else None


def tell(path: str, words: str) -> None:
    """Say something on the socket of the attempt this process belongs to; nobody there to hear it is no fault."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as own:
        own.sendto(words.encode(errors="replace"), path)


def _sender(sent_along: list[tuple[int, int, bytes]]) -> int | None:
    """The pid of a message; descriptors that came with it are closed."""
    sender = None
    for level, kind, data in sent_along:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            sender = int(_CREDENTIALS.unpack(data[: _CREDENTIALS.size])[0])
        elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            for fd in array.array("i", data[: len(data) - len(data) % 4]):
                os.close(fd)
    return sender

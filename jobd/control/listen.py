"""Owns the path of the control socket: what may be replaced there, with which rights it appears, when it goes."""

from __future__ import annotations

import errno
import os
import socket
import stat
from dataclasses import dataclass

from jobd.core.errors import JobdError

_LONGEST_PATH = 107
_BACKLOG = 512


class SocketRefused(JobdError):
    """The control socket cannot be had as it is configured; jobd must not start without it."""


@dataclass(slots=True)
class Listening:
    """A listening control socket, and the path it will take away when it closes (None if somebody else made it)."""

    socket: socket.socket
    path: str | None
    identity: tuple[int, int] | None = None

    def close(self) -> None:
        """Stop listening; the path goes only if it still names this very socket."""
        self.socket.close()
        if self.path is None:
            return
        try:
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino) == self.identity:
                os.unlink(self.path)
        except OSError:
            pass  # a path that cannot be removed is stale, and replaced at the next start


def bind(path: str, *, mode: int = 0o660, gid: int | None = None) -> Listening:
    """Listen at `path`, which has its mode and group before anybody can connect.

    Replaces a socket of our own that nobody answers on, and nothing else. Raises SocketRefused otherwise.
    """
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise SocketRefused(
            f"{path}: longer than the {_LONGEST_PATH} bytes a socket path may have (set control.socket)"
        )
    _check_directory(os.path.dirname(path) or ".")
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        identity = _appear(listener, path, mode, gid)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise SocketRefused(f"{path}: cannot listen there: {error.strerror}") from error
    return Listening(listener, path, identity)


def adopt(fd: int) -> Listening:
    """Listen on a socket that systemd handed over (its path, mode and group are the socket unit's).

    Raises SocketRefused if it is not a listening Unix stream socket.
    """
    try:
        listener = socket.socket(fileno=fd)
    except OSError as error:
        raise SocketRefused(f"fd {fd} handed over for the control socket is no socket: {error.strerror}") from error
    kind = listener.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    if listener.family != socket.AF_UNIX or kind != socket.SOCK_STREAM or not _accepts(listener):
        listener.detach()
        raise SocketRefused(f"fd {fd} handed over for the control socket must be a ListenStream= Unix socket")
    os.set_inheritable(fd, False)
    listener.setblocking(False)
    return Listening(listener, None)


def _accepts(listener: socket.socket) -> bool:
    return bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _check_directory(directory: str) -> None:
    """A directory that others can write to lets them take the socket's place, unless it is sticky."""
    try:
        found = os.stat(directory)
    except OSError as error:
        raise SocketRefused(f"{directory}: no directory for the control socket: {error.strerror}") from error
    if found.st_uid not in (0, os.geteuid()):
        raise SocketRefused(
            f"{directory}: belongs to uid {found.st_uid}; the control socket needs a directory of our own"
        )
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise SocketRefused(f"{directory}: others can write to it and replace the control socket (chmod go-w it)")


def _clear(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketRefused(f"{path}: {error.strerror}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketRefused(f"{path}: is {_kind(found.st_mode)}, not a socket; move it away or set control.socket")
    if found.st_uid != os.geteuid():
        raise SocketRefused(f"{path}: is a socket of uid {found.st_uid}, not ours; remove it or set control.socket")
    if _answers(path):
        raise SocketRefused(f"{path}: another jobd listens there; stop it or set control.socket")
    os.unlink(path)


def _answers(path: str) -> bool:
    """Whether somebody listens; a full backlog counts as somebody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except OSError as error:
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT)
        return True


def _appear(listener: socket.socket, path: str, mode: int, gid: int | None) -> tuple[int, int]:
    """Bind with no rights for anybody else, give the group, then the mode: never more open than asked for."""
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    if gid is not None:
        os.chown(path, -1, gid, follow_symlinks=False)
    os.chmod(path, mode)
    found = os.lstat(path)
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "the path was replaced while jobd bound it")
    return found.st_dev, found.st_ino


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a regular file" if stat.S_ISREG(mode) else "a special file"

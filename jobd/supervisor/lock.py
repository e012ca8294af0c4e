"""Keeps a second jobd off the same state: a lock on a file that is never removed."""

from __future__ import annotations

import fcntl
import os

from jobd.core.errors import JobdError


class Locked(JobdError):
    """Another jobd works on the same files."""


def hold(directory: str) -> int:
    """Lock a directory for this process; the descriptor holds the lock until it is closed.

    Raises Locked where another jobd holds it.
    """
    path = os.path.join(directory, "jobd.lock")
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise Locked(f"another jobd works in {directory}; stop it, or name another state_dir") from error
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # the file was replaced between opening and locking


def _is_at(descriptor: int, path: str) -> bool:
    try:
        here, there = os.fstat(descriptor), os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)

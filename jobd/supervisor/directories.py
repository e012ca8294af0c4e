"""The directories the daemon needs: made where they are missing, refused where somebody else could tamper with them."""

from __future__ import annotations

import os
import stat

from jobd.core.errors import JobdError
from jobd.supervisor import channels
from jobd.supervisor.settings import Settings


class DirectoryRefused(JobdError):
    """A directory of jobd's is not fit for it."""


def prepare(settings: Settings) -> None:
    """Make the state and the runtime directory. Raises DirectoryRefused for one that others own or can write to."""
    _own(settings.state_dir, 0o700)
    _own(os.path.join(settings.state_dir, "output"), 0o700)
    # Whoever may open the control socket must be able to reach it; what is private below has modes of its own.
    _own(settings.runtime_dir, 0o755)
    _keep_private(settings.database)
    channels.publish(settings.channels, settings.runtime_dir)


def _own(path: str, mode: int) -> None:
    try:
        os.makedirs(path, mode, exist_ok=True)
        found = os.stat(path)
    except OSError as error:
        raise DirectoryRefused(f"{path}: cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise DirectoryRefused(f"{path}: is not a directory")
    if found.st_uid != os.geteuid():
        raise DirectoryRefused(f"{path}: belongs to uid {found.st_uid}, not to jobd's own user (chown it)")
    if found.st_mode & 0o022:
        raise DirectoryRefused(f"{path}: others can write to it (chmod go-w it)")


def _keep_private(path: str) -> None:
    """Let nobody else read payloads, whatever the directory's mode is; SQLite gives its other files the same mode."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DirectoryRefused(f"{path}: cannot be made private: {error.strerror}") from error

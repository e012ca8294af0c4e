"""Putting files of definitions in place: whole or not at all, never over one that is there unless told to."""

from __future__ import annotations

import os
from collections.abc import Mapping

from jobd.core.errors import Conflict, JobdError, NotPermitted


def write(files: Mapping[str, str], directory: str, *, force: bool = False) -> list[str]:
    """Write the texts by file name, mode 0644, and return their paths. The directory is made where there is none.

    Raises Conflict, with nothing written, where a file is there and `force` is not given.
    """
    paths = [os.path.join(directory, name) for name in files]
    if not force and (there := [path for path in paths if os.path.lexists(path)]):
        raise Conflict(f"{there[0]} is there already, and nothing was written (--force replaces it)")
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        for path, text in zip(paths, files.values(), strict=True):
            _put(path, text, force)
    except FileExistsError as error:
        raise Conflict(f"{error.filename2 or error.filename} is there already (--force replaces it)") from None
    except PermissionError as error:
        raise NotPermitted(
            f"{error.filename} cannot be written: {error.strerror} (name a directory: --write DIR)"
        ) from None
    except OSError as error:
        raise JobdError(f"{error.filename or directory} cannot be written: {error.strerror}") from None
    return paths


def _put(path: str, text: str, force: bool) -> None:
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        # A link fails where the name is taken meanwhile, a rename would not.
        if force:
            os.replace(draft, path)
        else:
            os.link(draft, path)
    finally:
        if os.path.lexists(draft):
            os.unlink(draft)
    _keep(folder)


def _keep(folder: str) -> None:
    """Make the new names survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

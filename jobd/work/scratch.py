"""The private directory of an attempt: its payload and result as files, there while it runs and removed after."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress

from jobd.core.model import AttemptKey
from jobd.work import credentials
from jobd.work.accounts import Account
from jobd.work.ear import listen
from jobd.work.resultwords import NOTHING, RESULT_MAX_BYTES, Left, taken_apart

_PAYLOAD, _RESULT, _PARENTS, _NOTIFY = "payload.json", "result.json", "parents.json", "notify"
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Scratch:
    """`runtime_dir/attempts/RUN.ATTEMPT`, mode 0700 and owned by the user of the job."""

    def __init__(
        self,
        runtime_dir: str,
        key: AttemptKey,
        payload: str,
        account: Account,
        parents: str | None = None,
        secrets: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """`payload` and `parents` (what the runs before it came to) are JSON texts."""
        self._parent = f"{runtime_dir}/attempts"
        self._name = str(key)
        self._account = account
        self.path = f"{self._parent}/{self._name}"
        self.payload_file = f"{self.path}/{_PAYLOAD}"
        self.result_file = f"{self.path}/{_RESULT}"
        self.parents_file = f"{self.path}/{_PARENTS}" if parents is not None else None
        self.credentials = f"{self.path}/credentials" if secrets else None
        try:
            os.mkdir(self.path, 0o700)
        except FileExistsError:
            remove(runtime_dir, key)
            os.mkdir(self.path, 0o700)
        except FileNotFoundError:
            prepare(runtime_dir)
            os.mkdir(self.path, 0o700)
        self._write(self.payload_file, payload)
        if self.parents_file is not None and parents is not None:
            self._write(self.parents_file, parents)
        if self.credentials is not None:
            credentials.put_down(self.credentials, list(secrets), account)
        self.ear = listen(f"{self.path}/{_NOTIFY}", account)
        if account.differs:
            os.chown(self.path, account.uid, account.gid, follow_symlinks=False)

    def _write(self, path: str, text: str) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            left = memoryview(text.encode(errors="surrogateescape"))
            while left:
                left = left[os.write(fd, left) :]
            if self._account.differs:
                os.fchown(fd, self._account.uid, self._account.gid)
        finally:
            os.close(fd)

    def read_result(self) -> Left:
        """What the job left in its result file, taken apart."""
        try:
            text = self._result_text()
            return taken_apart(text) if text else NOTHING
        except ValueError as problem:
            return Left(fault=str(problem))

    def _result_text(self) -> bytes:
        # The directory itself cannot be exchanged by the job: the one above belongs to jobd alone.
        try:
            fd = os.open(self.result_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        except OSError as problem:
            raise ValueError(f"the result file cannot be read: {problem.strerror}") from None
        try:
            return self._checked(fd)
        finally:
            os.close(fd)

    def _checked(self, fd: int) -> bytes:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1 or facts.st_uid not in (self._account.uid, 0):
            raise ValueError("the result file is not a regular file of the job's own user")
        if facts.st_size > RESULT_MAX_BYTES:
            raise ValueError(f"the result file has {facts.st_size} bytes, more than the {RESULT_MAX_BYTES} allowed")
        return os.read(fd, RESULT_MAX_BYTES)

    def remove(self) -> None:
        """Remove the directory and whatever the job put into it."""
        if self.ear is not None:
            self.ear.close()
        try:
            if self.ear is not None:
                os.unlink(self.ear.path)
            os.unlink(self.payload_file)
            if self.parents_file is not None:
                os.unlink(self.parents_file)
            os.rmdir(self.path)
        except OSError:
            _remove_tree(self._parent, self._name)


def prepare(runtime_dir: str) -> None:
    """Make the directories of a runtime directory that are not there yet."""
    for name, mode in (("", 0o755), ("attempts", 0o711), ("outcomes", 0o700), ("background", 0o700)):
        os.makedirs(f"{runtime_dir}/{name}", mode, exist_ok=True)
        if name:
            os.chmod(f"{runtime_dir}/{name}", mode)


def remove(runtime_dir: str, key: AttemptKey) -> None:
    """Remove the directory of an attempt whose worker could not."""
    _remove_tree(f"{runtime_dir}/attempts", str(key))


def remove_others(runtime_dir: str, keep: Iterable[AttemptKey]) -> None:
    """Remove the directory of every attempt but these: secrets may be in them, and nobody else comes to remove them."""
    kept = set(map(str, keep))
    for name in os.listdir(f"{runtime_dir}/attempts"):
        if name not in kept:
            _remove_tree(f"{runtime_dir}/attempts", name)


def _remove_tree(parent: str, name: str) -> None:
    """Remove a directory a stranger may have filled: by descriptors, following no link, whatever its depth.

    Directories inside are first renamed up to the top, so that depth costs neither descriptors nor recursion.
    """
    try:
        above = os.open(parent, _OPEN_DIR)
    except OSError:
        return
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            top = os.open(name, _OPEN_DIR, dir_fd=above)
            try:
                _empty(top)
            finally:
                os.close(top)
            os.rmdir(name, dir_fd=above)
    except OSError:
        # Something in there resists (an immutable file, a mount): it stays, named after its attempt, for an admin.
        return
    finally:
        os.close(above)


def _empty(top: int) -> None:
    turn = 0
    while inside := os.listdir(top):
        turn += 1
        for place, name in enumerate(inside):
            if not _unlink(name, top):
                _flatten(name, top, f"{turn}.{place}.")


def _unlink(name: str, parent: int) -> bool:
    """Remove a file or an empty directory; False for a directory with something in it."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError:
            return False
    return True


def _flatten(name: str, top: int, prefix: str) -> None:
    """Take everything out of the directory `name`: files for good, directories up into `top`."""
    fd = os.open(name, _OPEN_DIR, dir_fd=top)
    try:
        os.fchmod(fd, 0o700)
        for place, item in enumerate(os.listdir(fd)):
            if not _unlink(item, fd):
                os.rename(item, f"{prefix}{place}", src_dir_fd=fd, dst_dir_fd=top)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=top)

"""The secrets of a job: where their values come from, and the files in which an attempt finds them.

They are files in a directory of the attempt and nothing else: no argument, no variable, no row and no log line.
"""

from __future__ import annotations

import os
import stat

from jobd.work.accounts import Account, Refused
from jobd.work.trusted import content

Secrets = tuple[tuple[str, str], ...]
"""(name, absolute path or `credential:NAME`)"""

_PASSED_ON = "credential:"
_MAX_BYTES = 1024 * 1024


def located(secrets: Secrets) -> Secrets:
    """The same with the files of credentials that systemd gave to jobd (systemd.exec(5), LoadCredential=)."""
    own = os.environ.get("CREDENTIALS_DIRECTORY")
    return tuple(
        (name, f"{own}/{source.removeprefix(_PASSED_ON)}" if own and source.startswith(_PASSED_ON) else source)
        for name, source in secrets
    )


def values(secrets: Secrets, account: Account) -> list[tuple[str, bytes]]:
    """The value of each secret. Raises Refused with what is wrong."""
    return [(name, _value(name, source, account)) for name, source in secrets]


def _value(name: str, source: str, account: Account) -> bytes:
    if source.startswith(_PASSED_ON):
        passed = source.removeprefix(_PASSED_ON)
        raise Refused(f"secrets: {name}: jobd was given no credentials (LoadCredential={passed}:FILE in its unit)")
    try:
        return content(source, account)
    except OSError as problem:
        raise Refused(f"secrets: {name}: {source} cannot be read: {problem.strerror}") from None
    except ValueError as problem:
        raise Refused(f"secrets: {name}: {source}: {problem}") from None


def known(secrets: Secrets) -> list[bytes]:
    """The values that can be had now, to look for them in text; no job gets to see them."""
    found: list[bytes] = []
    for _name, source in located(secrets):
        try:
            fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            continue  # not there any more: nothing to look for
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                found.append(os.read(fd, _MAX_BYTES))
        finally:
            os.close(fd)
    return found


def put_down(directory: str, secrets: list[tuple[str, bytes]], account: Account) -> None:
    """Make the directory with a file of mode 0400 for each, all owned by the user of the job."""
    os.mkdir(directory, 0o700)
    for name, value in secrets:
        fd = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
        try:
            left = memoryview(value)
            while left:
                left = left[os.write(fd, left) :]
            if account.differs:
                os.fchown(fd, account.uid, account.gid)
        finally:
            os.close(fd)
    if account.differs:
        os.chown(directory, account.uid, account.gid, follow_symlinks=False)

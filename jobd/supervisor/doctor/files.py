"""The files and directories that jobd goes by: who owns them, who else could write or read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from jobd.core.model import Job
from jobd.definitions import ownership
from jobd.supervisor.doctor.finding import Finding, bad, ok, unknown, warning
from jobd.supervisor.settings import Settings

_PASSED_ON = "credential:"


def directories(settings: Settings, uid: int) -> Iterator[Finding]:
    """What definitions are read from; `uid` is the daemon's own user."""
    if settings.config:
        yield ok("settings", f"{settings.config} is in order")
    else:
        yield ok("settings", "there is no jobd.yaml: all is default")
    there = [path for path in settings.jobs_dirs if os.path.lexists(path)]
    if not there:
        step = f"mkdir -p {settings.jobs_dirs[-1]}" if settings.jobs_dirs else "name one in jobs_dirs of jobd.yaml"
        yield warning("definitions", f"none of {', '.join(settings.jobs_dirs) or 'jobs_dirs'} is there", step)
    for path in there:
        yield _of_definitions(path, uid)


def _of_definitions(path: str, uid: int) -> Finding:
    try:
        fault = ownership.fault_of_directory(path, uid)
    except OSError as error:
        return unknown("definitions", f"{path} cannot be looked at: {error.strerror}", "look as root")
    if fault:
        return bad("definitions", f"nothing in {path} is read: {fault}", "mend owner and mode, then jobd-ctl reload")
    return ok("definitions", f"{path} belongs to nobody else")


def state(settings: Settings, uid: int) -> Iterator[Finding]:
    """The directories and the database of the daemon, which must be its own and private."""
    yield _own("state", settings.state_dir, uid)
    yield _own("runtime", settings.runtime_dir, uid)
    for path in (settings.database, os.path.join(settings.state_dir, "output")):
        if (found := _private(path, uid)) is not None:
            yield found


def _own(check: str, path: str, uid: int) -> Finding:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ok(check, f"{path} is not there yet: jobd makes it when it starts")
    except OSError as error:
        return unknown(check, f"{path}: {error.strerror}", "look as root")
    if found.st_uid != uid:
        return _foreign(check, path, found, uid)
    if found.st_mode & 0o022:
        return bad(check, f"{path} can be written by others (mode {_mode(found)})", f"chmod go-w {path}")
    return ok(check, f"{path} is jobd's own")


def _private(path: str, uid: int) -> Finding | None:
    """What is wrong with something that only jobd may read; None where nothing is, or nobody may look."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    if found.st_uid != uid:
        return _foreign("state", path, found, uid)
    if found.st_mode & 0o077:
        return bad("state", f"{path} can be read by others (mode {_mode(found)})", f"chmod go-rwx {path}")
    return None


def _foreign(check: str, path: str, found: os.stat_result, uid: int) -> Finding:
    return bad(check, f"{path} belongs to uid {found.st_uid}, and jobd is uid {uid}", f"chown {uid} {path}")


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):04o}"


def secrets(settings: Settings, jobs: Iterable[Job]) -> Iterator[Finding]:
    """The files with passwords: there, and nobody else's to read."""
    named: dict[str, str] = {}
    for job in jobs:
        for name, source in job.secrets:
            if not source.startswith(_PASSED_ON):
                named.setdefault(source, f"secrets.{name} of {job.name}")
    password = settings.smtp.get("password_file")
    if isinstance(password, str):
        named.setdefault(password, "smtp.password_file")
    faults = [fault for path, use in sorted(named.items()) if (fault := _secret(path, use)) is not None]
    yield from faults
    if named and not faults:
        yield ok("secrets", f"{len(named)} files are there, and only their owners may read them")


def _secret(path: str, use: str) -> Finding | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return bad("secrets", f"{path} is not there ({use})", f"install -m 0600 /dev/stdin {path}")
    except OSError as error:
        return unknown("secrets", f"{path}: {error.strerror} ({use})", "look as root")
    if found.st_mode & 0o077:
        return warning("secrets", f"{path} can be read by others, mode {_mode(found)} ({use})", f"chmod 0600 {path}")
    return None


def env_files(jobs: Iterable[Job]) -> Iterator[Finding]:
    """Files of variables that must be there and are not."""
    for job in jobs:
        for path in job.env_files:
            if not path.startswith("-") and not os.path.exists(path):
                step = f'create it, or write "-{path}" where it may be missing'
                yield bad("env_files", f"{path} is not there (env_file of {job.name})", step)

"""Reports that workers of a dead supervisor left as files: found, read and removed."""

from __future__ import annotations

import os
from contextlib import suppress

from jobd.core.model import AttemptKey, Finished
from jobd.work.wire import report_from_bytes

_LARGEST = 16 * 1024 * 1024


def all_reports(runtime_dir: str) -> list[Finished]:
    """Every whole report there is. A file that is none is passed over: its attempt is judged by its processes."""
    try:
        names = sorted(os.listdir(f"{runtime_dir}/outcomes"))
    except FileNotFoundError:
        return []
    reports = (_read(f"{runtime_dir}/outcomes/{name}") for name in names if name.endswith(".json"))
    return [report for report in reports if report is not None]


def report(runtime_dir: str, key: AttemptKey) -> Finished | None:
    return _read(_path(runtime_dir, key))


def forget(runtime_dir: str, key: AttemptKey) -> None:
    """Remove the report of an attempt, if there is one."""
    with suppress(FileNotFoundError):
        os.unlink(_path(runtime_dir, key))


def _path(runtime_dir: str, key: AttemptKey) -> str:
    return f"{runtime_dir}/outcomes/{key}.json"


def _read(path: str) -> Finished | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        data = file.read(_LARGEST)
    try:
        return report_from_bytes(data)
    except (ValueError, KeyError, TypeError, IndexError):
        return None

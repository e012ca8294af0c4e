"""The environment of a job, built from nothing: what every job gets, what the job asks for, and what jobd says."""

from __future__ import annotations

import os

from jobd.core import parents
from jobd.core.spans import rfc3339
from jobd.work import envfiles
from jobd.work.accounts import Account, Refused
from jobd.work.orders import Order
from jobd.work.scratch import Scratch

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LONGEST_STRING = 128 * 1024 - 1
"""What execve takes for one string, its closing NUL aside."""


def variables(order: Order, account: Account, runtime_dir: str, scratch: Scratch | None = None) -> dict[str, str]:
    """Every variable of an attempt; the files are named where it has a directory of its own.

    Raises Refused for a variable that no program can be given, and for a file that cannot be read or trusted.
    """
    for name, value in order.env:
        if not name or "=" in name or "\0" in name + value:
            raise Refused(f"the variable {name!r} has no possible name, or contains a NUL character")
    env = {
        "PATH": PATH,
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": account.shell or "/bin/sh",
        "LANG": "C.UTF-8",
    }
    env.update(order.env)
    for file in order.env_files:
        env.update(envfiles.load(file, account))
    env["JOBD_JOB"] = order.job
    env["JOBD_RUN_ID"] = str(order.key.run)
    env["JOBD_ATTEMPT"] = str(order.key.attempt)
    env["JOBD_RUNTIME_DIR"] = runtime_dir
    env["JOBD_MAX_ATTEMPTS"] = str(order.max_attempts)
    env["JOBD_QUEUE"] = order.queue
    env["JOBD_TRIGGER"] = order.trigger.value
    if order.slot is not None:
        env["JOBD_SLOT"] = rfc3339(order.slot)
    if len("JOBD_PAYLOAD=") + len(order.payload.encode(errors="surrogateescape")) < _LONGEST_STRING:
        env["JOBD_PAYLOAD"] = order.payload
    if order.traceparent:
        env["TRACEPARENT"] = order.traceparent
    if order.tracestate:
        env["TRACESTATE"] = order.tracestate
    if order.parents:
        first = parents.read(order.parents)[0]
        env["JOBD_PARENT_RUN"] = str(first.run)
        env["JOBD_PARENT_JOB"] = first.job
        env["JOBD_PARENT_STATE"] = first.state
    if scratch is not None:
        env.update(_files(scratch))
    if order.watchdog_seconds:
        env["WATCHDOG_USEC"] = str(int(order.watchdog_seconds * 1e6))
    return env


def _files(scratch: Scratch) -> dict[str, str]:
    """What is in the attempt's own directory, by the variables that say where."""
    named = {
        "JOBD_PAYLOAD_FILE": scratch.payload_file,
        "JOBD_RESULT_FILE": scratch.result_file,
        "JOBD_PARENT_RESULT_FILE": scratch.parents_file,
        "CREDENTIALS_DIRECTORY": scratch.credentials,
        "NOTIFY_SOCKET": scratch.ear.path if scratch.ear is not None else None,
    }
    return {name: path for name, path in named.items() if path is not None}


def directory_of(order: Order, account: Account) -> str:
    """Where the job starts: where it says, else at home, else at the root."""
    if order.cwd is not None:
        return order.cwd
    return account.home if os.path.isdir(account.home) else "/"

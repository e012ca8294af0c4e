"""Starts the child of an attempt: session, descriptors, directory, user and signals as a job may expect them.

A program under the worker's own user goes through subprocess (vfork inside; posix_spawn would leave it two signals
ignored, 32 and 33). Another user, bounds, a sandbox or a Python callable of its own go through a fork, where each step
can be checked before any code of the job runs.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from jobd.work import cgroup, tree
from jobd.work.accounts import Account, Refused, become
from jobd.work.bounds import Bounds, Unmet, take_on
from jobd.work.sandbox import Enclosure, planned, take

_NO_ROOM = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_REASONS = {
    errno.ENOENT: "not found",
    errno.EACCES: "permission denied: is it executable, and may this user reach it?",
    errno.ENOEXEC: "not a program: does its first line name an interpreter (#!/bin/sh)?",
    errno.E2BIG: "its arguments and environment are too long (128 KiB for one, 2 MiB for all)",
    errno.ETXTBSY: "it is being written to",
}


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start and as whom."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    umask: int
    account: Account
    bounds: Bounds = field(default_factory=Bounds)
    enclosure: Enclosure = field(default_factory=Enclosure)
    stdin: str | None = None
    leaf: str | None = None
    """The cgroup of the attempt; None where there is no delegation."""
    own_leaf: str | None = None
    closes_others: bool = True
    """Descriptors may be open that exec does not close: code of jobs has run in this process."""


@dataclass(slots=True)
class Child:
    """A started child. The descriptors belong to whoever watches it."""

    pid: int
    pidfd: int
    stdout: int
    stderr: int
    unmet: tuple[str, ...] = ()
    """What its job asked for, could not have, and goes without."""


@dataclass(slots=True)
class _Pipes:
    """The three standard streams of a child, and our ends of two of them."""

    stdin: int
    stdout: int
    stderr: int
    from_stdout: int
    from_stderr: int

    def close_theirs(self) -> None:
        for fd in (self.stdin, self.stdout, self.stderr):
            os.close(fd)

    def close_ours(self) -> None:
        os.close(self.from_stdout)
        os.close(self.from_stderr)


def start(launch: Launch) -> Child:
    """Execute `launch.argv`. Raises Refused with the reason, its exit code and whether trying again can help."""
    if "\0" in "".join((*launch.argv, launch.cwd)):
        raise Refused("an argument or the directory contains a NUL character, which no program can be given")
    if launch.account.differs or launch.bounds or launch.enclosure:
        return fork(launch, lambda: _execute(launch))
    return _started(launch, _popen)


def fork(launch: Launch, body: Callable[[], int], keep: int = -1) -> Child:
    """Run `body` in a fork that stands as the job's child would; its return value is the exit status.

    The descriptor `keep` stays open in the child. Raises Refused where the child could not be put in its place: then
    `body` never ran.
    """
    return _started(launch, lambda launch, pipes: _forked(launch, pipes, body, keep))


def _started(launch: Launch, way: Callable[[Launch, _Pipes], tuple[int, tuple[str, ...]]]) -> Child:
    try:
        pipes = _pipes(launch.stdin)
    except OSError as problem:
        raise _refusal(problem, launch) from None
    except ValueError as problem:
        raise Refused(f"its stdin cannot be written: {problem}") from None
    try:
        pid, unmet = way(launch, pipes)
        return Child(pid, os.pidfd_open(pid), pipes.from_stdout, pipes.from_stderr, unmet)
    except OSError as problem:
        pipes.close_ours()
        raise _refusal(problem, launch) from None
    except ValueError as problem:
        pipes.close_ours()
        raise Refused(f"an argument or variable cannot be given to a program: {problem}") from None
    except BaseException:
        pipes.close_ours()
        raise
    finally:
        pipes.close_theirs()


def _popen(launch: Launch, pipes: _Pipes) -> tuple[int, tuple[str, ...]]:
    with _inside(launch):
        child = subprocess.Popen(
            launch.argv,
            stdin=pipes.stdin,
            stdout=pipes.stdout,
            stderr=pipes.stderr,
            cwd=launch.cwd,
            env=launch.env,
            umask=launch.umask,
            close_fds=launch.closes_others,
            start_new_session=True,
        )
    # Waiting is the watch's duty: to subprocess the child is done with.
    child.returncode = 0
    return child.pid, ()


class _inside:  # noqa: N801 - used as a statement
    """A child is born in the cgroup of its parent, so the worker steps into the attempt's for the birth."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch

    def __enter__(self) -> None:
        if self._launch.leaf is not None:
            cgroup.enter(self._launch.leaf)

    def __exit__(self, *_: object) -> None:
        if self._launch.own_leaf is not None:
            cgroup.enter(self._launch.own_leaf)


def _forked(launch: Launch, pipes: _Pipes, body: Callable[[], int], keep: int) -> tuple[int, tuple[str, ...]]:
    if len(os.listdir("/proc/self/task")) != 1:
        raise Refused("the worker has threads and cannot fork; it is replaced", spent=False)
    told, tell = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
    except OSError:
        os.close(told)
        os.close(tell)
        raise
    if pid == 0:
        _stand_in_place(launch, pipes, tell, body, keep)
    os.close(tell)
    unmet: tuple[str, ...] = ()
    with os.fdopen(told, "rb") as file:
        for line in file:
            match json.loads(line):
                case [int(number), text]:
                    os.waitpid(pid, 0)
                    raise OSError(number, text) if number else Refused(text, retryable=False)
                case goes_without:
                    unmet = tuple(goes_without)
    return pid, unmet


def _stand_in_place(launch: Launch, pipes: _Pipes, tell: int, body: Callable[[], int], keep: int) -> None:
    """In the child: take every step, run the body, and never return."""
    status = 126
    try:
        os.setsid()
        default_signals()
        if launch.leaf is not None:
            cgroup.enter(launch.leaf)
        for fd, source in ((0, pipes.stdin), (1, pipes.stdout), (2, pipes.stderr)):
            os.dup2(source, fd)
        _close_others(tell, keep)
        if unmet := take_on(launch.bounds):
            _say(tell, unmet)
        plan = planned(launch.enclosure)
        take(plan.before)
        if launch.account.differs:
            become(launch.account)
        take(plan.after)
        os.umask(launch.umask)
        _enter(launch)
        os.set_inheritable(tell, False)
        status = body() if launch.argv else _run_detached(tell, body)
    except Unmet as problem:
        _say(tell, [0, str(problem)])
    except OSError as problem:
        _say(tell, [problem.errno or 0, problem.strerror or str(problem)])
    except BaseException as problem:
        # Only what is about to end this process can hear it: the parent, by the pipe.
        with suppress(OSError):
            _say(tell, [0, f"{type(problem).__name__}: {problem}"])
    finally:
        os._exit(status)


def _enter(launch: Launch) -> None:
    try:
        os.chdir(launch.cwd)
    except FileNotFoundError:
        if launch.enclosure:
            raise Unmet(f"the working directory {launch.cwd} is not there in the job's sandbox") from None
        raise


def _say(tell: int, words: list[Any]) -> None:
    """One line for the parent: an error by its number (0 for none of the kernel's) and text, or a list of texts."""
    os.write(tell, json.dumps(words).encode() + b"\n")


def _run_detached(tell: int, body: Callable[[], int]) -> int:
    os.close(tell)
    return body()


def _execute(launch: Launch) -> int:
    os.execvpe(launch.argv[0], launch.argv, launch.env)  # noqa: S606 - no shell is the point


def default_signals() -> None:
    """Every signal as a new program expects it: nothing ignored, nothing blocked, no handler."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            with suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
    tree.default_hidden_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _close_others(*keep: int) -> None:
    for name in os.listdir("/proc/self/fd"):
        if (fd := int(name)) > 2 and fd not in keep:
            with suppress(OSError):
                os.close(fd)


def _pipes(stdin: str | None) -> _Pipes:
    opened: list[int] = []
    try:
        opened += [_stdin(stdin)]
        opened += os.pipe2(os.O_CLOEXEC)
        opened += os.pipe2(os.O_CLOEXEC)
    except OSError:
        for fd in opened:
            os.close(fd)
        raise
    source, from_stdout, to_stdout, from_stderr, to_stderr = opened
    os.set_blocking(from_stdout, False)
    os.set_blocking(from_stderr, False)
    return _Pipes(source, to_stdout, to_stderr, from_stdout, from_stderr)


def _stdin(text: str | None) -> int:
    if text is None:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    data = memoryview(text.encode(errors="surrogateescape"))
    while data:
        data = data[os.write(fd, data) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _refusal(problem: OSError, launch: Launch) -> Refused:
    number = problem.errno or 0
    if number in _NO_ROOM:
        return Refused(f"no process could be started: {os.strerror(number)}", spent=False, retryable=True)
    if not os.path.isdir(launch.cwd):
        return Refused(f"the working directory {launch.cwd} is not there", 126)
    reason = _REASONS.get(number) or problem.strerror or str(problem)
    program = launch.argv[0] if launch.argv else "the job"
    return Refused(
        f"{program} could not be started: {reason}",
        127 if number in (errno.ENOENT, errno.ENOTDIR) else 126,
        retryable=number == errno.ETXTBSY,
    )

"""Starts the child of an attempt: session, descriptors, directory, user and signals as a job may expect them.

A program under the worker's own user goes through subprocess (vfork inside; posix_spawn would leave it two signals
ignored, 32 and 33). Another user, bounds or a sandbox go through a fork, where each step can be checked before any code
of the job runs. A call of its own goes through a new interpreter, which takes these steps itself: what is forked from a
worker has the worker's memory, and in it what others were given.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from jobd.work import bounds, cgroup, spawned, standing
from jobd.work.accounts import Refused
from jobd.work.standing import Stand

_NO_ROOM = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_REASONS = {
    errno.ENOENT: "not found",
    errno.EACCES: "permission denied: is it executable, and may this user reach it?",
    errno.ENOEXEC: "not a program: does its first line name an interpreter (#!/bin/sh)?",
    errno.E2BIG: "its arguments and environment are too long (128 KiB for one, 2 MiB for all)",
    errno.ETXTBSY: "it is being written to",
}
_PATIENCE_SECONDS = 60.0
"""For an interpreter to come up: more than the busiest machine takes."""
_LONGEST_TRACEBACK = 65536


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start and as whom."""

    argv: tuple[str, ...]
    env: dict[str, str]
    stand: Stand
    stdin: str | None = None
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
    main: int = 0
    """The job's own process, where that is not the child but what the child waits for."""


@dataclass(slots=True)
class Pipes:
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
    if "\0" in "".join((*launch.argv, launch.stand.cwd)):
        raise Refused("an argument or the directory contains a NUL character, which no program can be given")
    return started(launch, _forked if launch.stand.is_another else _popen)


def interpret(launch: Launch, told: int, answer: int) -> Child:
    """Start an interpreter that calls what the memory file `told` says (see fresh), and puts its answer into another.

    Raises Refused where it could not be put in its place: then nothing was called.
    """
    return started(launch, lambda launch, pipes: _interpreted(launch, pipes, told, answer))


def started(launch: Launch, way: Callable[[Launch, Pipes], tuple[int, tuple[str, ...]]]) -> Child:
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
        raise Refused(f"{standing.NOT_GIVEN}: {problem}") from None
    except BaseException:
        pipes.close_ours()
        raise
    finally:
        pipes.close_theirs()


def _popen(launch: Launch, pipes: Pipes) -> tuple[int, tuple[str, ...]]:
    with _inside(launch):
        child = subprocess.Popen(
            launch.argv,
            stdin=pipes.stdin,
            stdout=pipes.stdout,
            stderr=pipes.stderr,
            cwd=launch.stand.cwd,
            env=launch.env,
            umask=launch.stand.umask,
            close_fds=launch.closes_others,
            start_new_session=True,
        )
    # Waiting is the watch's duty: to subprocess the child is done with.
    child.returncode = 0
    return child.pid, ()


class _inside:  # noqa: N801 - used as a statement
    """A child is born with the limits and in the cgroup of its parent: for that long the worker has the attempt's."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch

    def __enter__(self) -> None:
        if self._launch.stand.leaf is not None:
            cgroup.enter(self._launch.stand.leaf)
        self._before = bounds.usual()

    def __exit__(self, *_: object) -> None:
        bounds.lift(self._before)
        if self._launch.own_leaf is not None:
            cgroup.enter(self._launch.own_leaf)


def _forked(launch: Launch, pipes: Pipes) -> tuple[int, tuple[str, ...]]:
    if len(os.listdir("/proc/self/task")) != 1:
        raise Refused("the worker has threads and cannot fork; it is replaced", spent=False)
    heard, tell = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
    except OSError:
        os.close(heard)
        os.close(tell)
        raise
    if pid == 0:
        _become_program(launch, pipes, tell)
    os.close(tell)
    return pid, standing.hear(heard, pid).unmet


def _become_program(launch: Launch, pipes: Pipes, tell: int) -> None:
    """In the child: take every step, execute the program, and never return."""
    try:
        os.setsid()
        standing.default_signals()
        for fd, source in ((0, pipes.stdin), (1, pipes.stdout), (2, pipes.stderr)):
            os.dup2(source, fd)
        standing.close_others(tell)
        standing.settle(launch.stand, tell)
        os.execvpe(launch.argv[0], launch.argv, launch.env)  # noqa: S606 - no shell is the point
    except BaseException as problem:
        # Only what is about to end this process can hear it: the parent, by the pipe.
        standing.complain(tell, problem)
    finally:
        os._exit(126)


def _interpreted(launch: Launch, pipes: Pipes, told: int, answer: int) -> tuple[int, tuple[str, ...]]:
    heard, tell = os.pipe2(os.O_CLOEXEC)
    try:
        child = subprocess.Popen(
            [*spawned.command("fresh"), str(told), str(tell), str(answer)],
            stdin=pipes.stdin,
            stdout=pipes.stdout,
            stderr=pipes.stderr,
            # What the job is given comes later: its variables have no say in how the interpreter starts.
            env={"LANG": "C.UTF-8"} | {name: launch.env[name] for name in standing.MARKS},
            cwd="/",
            pass_fds=(told, tell, answer),
            start_new_session=True,
        )
    except OSError:
        os.close(heard)
        raise
    finally:
        os.close(tell)
    child.returncode = 0
    words = standing.hear(heard, child.pid, within_seconds=_PATIENCE_SECONDS)
    if not words.is_ready:
        raise _never_ready(child.pid, pipes)
    return child.pid, words.unmet


def _never_ready(pid: int, pipes: Pipes) -> Refused:
    """The reason for an interpreter that has ended, or has to end, before it stood in its place."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    said = b""
    with suppress(BlockingIOError):
        said = os.read(pipes.from_stderr, _LONGEST_TRACEBACK)
    last = (said.decode(errors="replace").split("\n\n")[0].strip().splitlines() or ["it said nothing"])[-1]
    return Refused(f"its interpreter did not come up: {last}", retryable=True)


def _pipes(stdin: str | None) -> Pipes:
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
    return Pipes(source, to_stdout, to_stderr, from_stdout, from_stderr)


def _stdin(text: str | None) -> int:
    if text is None:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    return spawned.memory_file("stdin", text.encode(errors="surrogateescape"))


def _refusal(problem: OSError, launch: Launch) -> Refused:
    number = problem.errno or 0
    if number in _NO_ROOM:
        return Refused(f"no process could be started: {os.strerror(number)}", spent=False, retryable=True)
    if not os.path.isdir(launch.stand.cwd):
        return Refused(f"the working directory {launch.stand.cwd} is not there", 126)
    reason = _REASONS.get(number) or problem.strerror or str(problem)
    program = launch.argv[0] if launch.argv else "the job"
    return Refused(
        f"{program} could not be started: {reason}",
        127 if number in (errno.ENOENT, errno.ENOTDIR) else 126,
        retryable=number == errno.ETXTBSY,
    )

"""The steps of a child into the place of its job, and what it says of them to the worker that started it.

It takes them while it is still the worker's user: cgroup, bounds, sandbox, then the user, umask and directory. A step
that does not hold ends the attempt before any code of the job has run.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from jobd.work import cgroup, tree
from jobd.work.accounts import Account, Refused, become
from jobd.work.bounds import Bounds, Unmet, take_on
from jobd.work.confinement import Plan
from jobd.work.sandbox import Enclosure, planned, take

MARKS = ("JOBD_RUN_ID", "JOBD_ATTEMPT", "JOBD_RUNTIME_DIR")
"""By these variables the processes of an attempt are known once nobody has kept them together (see tree)."""
NOT_GIVEN = "an argument or variable cannot be given to a program"
_PIECE = 65536


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a job runs and as whom."""

    account: Account
    cwd: str
    umask: int
    bounds: Bounds = field(default_factory=Bounds)
    enclosure: Enclosure = field(default_factory=Enclosure)
    leaf: str | None = None
    """The cgroup of the attempt; None where there is no delegation."""

    @property
    def is_another(self) -> bool:
        """Not what any child of the worker has by itself."""
        return bool(self.account.differs or self.bounds or self.enclosure)


@dataclass(frozen=True, slots=True)
class Words:
    """What a child has said by the time it stands in its place, or is gone."""

    unmet: tuple[str, ...] = ()
    """What its job asked for, could not have, and goes without."""
    is_ready: bool = False


def settle(stand: Stand, tell: int) -> None:
    """Take every step. Raises Unmet, Refused or OSError."""
    if stand.leaf is not None:
        cgroup.enter(stand.leaf)
    if unmet := take_on(stand.bounds):
        _say(tell, "unmet", *unmet)
    plan = planned(stand.enclosure) if stand.enclosure else Plan()
    take(plan.before)
    if stand.account.differs:
        become(stand.account)
    take(plan.after)
    os.umask(stand.umask)
    try:
        os.chdir(stand.cwd)
    except FileNotFoundError:
        if stand.enclosure:
            raise Unmet(f"the working directory {stand.cwd} is not there in the job's sandbox") from None
        raise


def say_ready(tell: int) -> None:
    """For a child that no exec closes the pipe of."""
    _say(tell, "ready")
    os.close(tell)


def complain(tell: int, problem: BaseException) -> None:
    """Say why the place cannot be taken."""
    with suppress(OSError):
        match problem:
            case Refused():
                _say(tell, "refused", problem.error, problem.exit_code, problem.retryable)
            case Unmet():
                _say(tell, "refused", str(problem), 126, False)
            case OSError():
                _say(tell, "error", problem.errno or 0, problem.strerror or str(problem))
            case ValueError():
                _say(tell, "refused", f"{NOT_GIVEN}: {problem}", 126, False)
            case _:
                _say(tell, "refused", f"{type(problem).__name__}: {problem}", 126, False)


def hear(heard: int, pid: int, within_seconds: float | None = None) -> Words:
    """What the child `pid` says until its end of the pipe is closed, or the time is over.

    Raises Refused, or OSError with the kernel's own reason, for a child that could not take its place; it is reaped.
    """
    words = Words()
    try:
        for kind, *said in _lines(heard, within_seconds):
            match kind:
                case "unmet":
                    words = Words(tuple(said))
                case "ready":
                    words = Words(words.unmet, is_ready=True)
                case "error":
                    os.waitpid(pid, 0)
                    raise OSError(said[0], said[1]) if said[0] else Refused(said[1])
                case _:
                    os.waitpid(pid, 0)
                    raise Refused(said[0], said[1], retryable=said[2])
    finally:
        os.close(heard)
    return words


def default_signals() -> None:
    """Every signal as a new program expects it: nothing ignored, nothing blocked, no handler."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            with suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
    tree.default_hidden_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def close_others(*keep: int) -> None:
    """Close every descriptor but the standard ones and these."""
    for name in os.listdir("/proc/self/fd"):
        if (fd := int(name)) > 2 and fd not in keep:
            with suppress(OSError):
                os.close(fd)


def _say(tell: int, *words: Any) -> None:
    os.write(tell, json.dumps(words).encode() + b"\n")


def _lines(heard: int, within_seconds: float | None) -> Iterator[list[Any]]:
    deadline = None if within_seconds is None else time.monotonic() + within_seconds
    rest = b""
    poll = select.poll()
    poll.register(heard, select.POLLIN)
    while deadline is None or poll.poll(max(deadline - time.monotonic(), 0) * 1000):
        data = os.read(heard, _PIECE)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from map(json.loads, lines)

"""Holds a process to what its job may take: resource limits, niceness, I/O class, OOM score.

Everything is set in the child before it becomes another user or program, and read back: a bound that does not hold
ends the attempt before any code of the job has run, unless the job takes what it can get (`best_effort`).
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobd.core.model import NO_LIMITS, Limits

_IO_CLASSES = {"realtime": 1, "best-effort": 2, "idle": 3}
_IO_CLASS_SHIFT = 13
_IO_CALLS = {"x86_64": (251, 252), "aarch64": (30, 31), "riscv64": (30, 31), "armv7l": (314, 315),
             "ppc64le": (273, 274), "s390x": (282, 283)}  # fmt: skip
"""The numbers of ioprio_set(2) and ioprio_get(2) by machine; the C library has no functions for them."""
_MORE_CPU_SECONDS = 5
"""From SIGXCPU, which a program may catch to end in order, to SIGKILL."""


USUAL_FILE_SIZE = 1 << 30
"""For a job that does not say: what runs away fills no disk at once. The job itself may raise it (ulimit -f)."""


class Unmet(Exception):
    """A bound that the kernel does not let this process have; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a job says about the place of its processes among others. Falsy where it says nothing."""

    nice: int = 0
    ionice: str | None = None
    oom_score_adjust: int | None = None
    limits: Limits = NO_LIMITS

    def __bool__(self) -> bool:
        return self != Bounds(limits=Limits(best_effort=self.limits.best_effort))


def take_on(bounds: Bounds) -> list[str]:
    """Bind the calling process for good; what could not be had is returned, or raises Unmet as the job wants it."""
    unmet = []
    for what, bind in _steps(bounds):
        try:
            bind()
        except (OSError, ValueError) as problem:
            said = f"{what} cannot be applied: {_reason(problem)}"
            if not bounds.limits.best_effort:
                raise Unmet(f"{said} (limits: {{best_effort: true}} runs the job without it)") from None
            unmet.append(said)
    return unmet


def usual() -> int:
    """Put the usual limits on the calling process, which it may lift again; what held before, for `lift`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if soft == resource.RLIM_INFINITY or soft > USUAL_FILE_SIZE:
        resource.setrlimit(resource.RLIMIT_FSIZE, (USUAL_FILE_SIZE, hard))
    return soft


def lift(before: int) -> None:
    """Have the limits again that held before `usual`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (before, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def said_by_signal(number: int, limits: Limits) -> str | None:
    """Which limit a job ran into that was ended by this signal; None where it was none."""
    if number == signal.SIGXFSZ and limits.file_size is not None:
        return f"it wrote more than the {limits.file_size} bytes a file may have (limits.file_size)"
    if number == signal.SIGXFSZ:
        return "it wrote more than the 1GiB a file may have where its job does not say (limits: {file_size: 20GiB})"
    if number == signal.SIGXCPU and limits.cpu_time is not None:
        return f"it used more than {limits.cpu_time:g} s of CPU time (limits.cpu_time)"
    return None


def _steps(bounds: Bounds) -> Iterator[tuple[str, Callable[[], None]]]:
    if bounds.nice:
        yield f"nice: {bounds.nice}", lambda: _be_nice(bounds.nice)
    if (io := bounds.ionice) is not None:
        yield f"ionice: {io}", lambda: _set_io_class(io)
    if (score := bounds.oom_score_adjust) is not None:
        yield f"oom_score_adjust: {score}", lambda: _adjust_oom_score(score)
    limits = bounds.limits
    if limits.file_size is None:
        usual()
    for word, kind, most in (
        ("files", resource.RLIMIT_NOFILE, limits.files),
        ("file_size", resource.RLIMIT_FSIZE, limits.file_size),
        ("core", resource.RLIMIT_CORE, limits.core),
    ):
        if most is not None:
            yield f"limits.{word}: {most}", _limiting(kind, most, most)
    if limits.cpu_time is not None:
        seconds = math.ceil(limits.cpu_time)
        yield f"limits.cpu_time: {seconds} s", _limiting(resource.RLIMIT_CPU, seconds, seconds + _MORE_CPU_SECONDS)


def _limiting(kind: int, soft: int, hard: int) -> Callable[[], None]:
    def limit() -> None:
        # Only root may raise a hard limit: where ours is in between, it stays.
        ceiling = resource.getrlimit(kind)[1]
        most = hard if os.geteuid() == 0 or ceiling == resource.RLIM_INFINITY else min(hard, ceiling)
        resource.setrlimit(kind, (soft, most))
        _hold(resource.getrlimit(kind)[0], soft)

    return limit


def _be_nice(wanted: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, wanted)
    _hold(os.getpriority(os.PRIO_PROCESS, 0), wanted)


def _set_io_class(wanted: str) -> None:
    name, _, level = wanted.partition(":")
    value = _IO_CLASSES[name] << _IO_CLASS_SHIFT | int(level or 0)
    numbers = _IO_CALLS.get(os.uname().machine)
    if numbers is None:
        raise ValueError(f"jobd does not know how to on {os.uname().machine}")
    itself = 1
    _called(numbers[0], itself, 0, value)
    _hold(_called(numbers[1], itself, 0), value)


def _called(number: int, *arguments: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    answer = int(libc.syscall(number, *arguments))
    if answer < 0:
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem))
    return answer


def _adjust_oom_score(wanted: int) -> None:
    with open("/proc/self/oom_score_adj", "r+", encoding="ascii", buffering=1) as file:
        file.write(f"{wanted}\n")
        file.flush()
        file.seek(0)
        _hold(int(file.read()), wanted)


def _hold(found: int, wanted: int) -> None:
    if found != wanted:
        raise ValueError(f"the kernel made it {found}")


def _reason(problem: OSError | ValueError) -> str:
    if isinstance(problem, PermissionError):
        return f"{problem.strerror}, which takes root or a capability that jobd does not have (uid {os.geteuid()})"
    return (problem.strerror if isinstance(problem, OSError) else None) or str(problem)

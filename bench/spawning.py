"""A bare pool of processes that start /bin/true: what is left of a worker when nothing is remembered or told.

`python -m bench.spawning COUNT` takes a number of seconds a line, and answers with how many it started a second.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time

_COUNT = struct.Struct("=q")
_PROGRAM = "/bin/true"


def _spawn_for(seconds: float) -> int:
    """As a worker must: alarm set, a session of its own, output read to its end, status and usage taken."""
    count, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        signal.setitimer(signal.ITIMER_REAL, 3600)
        reading, writing = os.pipe()
        outputs = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2)]
        pid = os.posix_spawn(_PROGRAM, [_PROGRAM], {"PATH": "/usr/bin:/bin"}, file_actions=outputs, setsid=True)
        os.close(writing)
        while os.read(reading, 65536):
            pass
        os.close(reading)
        _, status, _usage = os.wait4(pid, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert status == 0, f"{_PROGRAM} ended with {status}"
        count += 1
    return count


def _member(orders: int, answers: int) -> None:
    while order := os.read(orders, 8):
        os.write(answers, _COUNT.pack(_spawn_for(struct.unpack("=d", order)[0])))


def _hire() -> tuple[int, int]:
    """A forked member: where it takes seconds, and where it answers with a count."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    if os.fork() == 0:
        os.close(ours_out)
        os.close(ours_in)
        _member(theirs_in, theirs_out)
        os._exit(0)
    os.close(theirs_in)
    os.close(theirs_out)
    return ours_out, ours_in


def main() -> None:
    members = [_hire() for _ in range(int(sys.argv[1]))]
    for line in sys.stdin:
        began = time.perf_counter()
        for orders, _ in members:
            os.write(orders, struct.pack("=d", float(line)))
        count = sum(_COUNT.unpack(os.read(answers, 8))[0] for _, answers in members)
        print(count / (time.perf_counter() - began), flush=True)


class BarePool:
    """The pool, from outside."""

    def __init__(self, count: int) -> None:
        arguments = [sys.executable, "-m", "bench.spawning", str(count)]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def rate(self, seconds: float) -> float:
        """Programs started and waited for per second."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seconds}\n".encode())
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    main()

"""/bin/true started as a worker must, and nothing else done: the reference of programs."""

from __future__ import annotations

import os
import signal
import time

_PROGRAM = "/bin/true"


def spawn_for(seconds: float) -> int:
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

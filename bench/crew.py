"""Processes that each do one thing again and again: what is left of workers when nothing is remembered or told.

`python -m bench.crew COUNT WHAT [WORD]` takes a number of seconds a line, and answers with how often it was done a
second.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable

from bench import spawning, web

_COUNT = struct.Struct("=q")
_WORK: dict[str, Callable[..., int]] = {"spawn": spawning.spawn_for, "ask": web.ask_for}
"""What takes seconds, does one thing for so long, and gives how often."""


def _member(orders: int, answers: int, work: Callable[..., int], words: list[str]) -> None:
    while order := os.read(orders, 8):
        os.write(answers, _COUNT.pack(work(struct.unpack("=d", order)[0], *words)))


def _hire(work: Callable[..., int], words: list[str]) -> tuple[int, int]:
    """A forked member: where it takes seconds, and where it answers with a count."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    if os.fork() == 0:
        os.close(ours_out)
        os.close(ours_in)
        _member(theirs_in, theirs_out, work, words)
        os._exit(0)
    os.close(theirs_in)
    os.close(theirs_out)
    return ours_out, ours_in


def main() -> None:
    count, what, *words = sys.argv[1:]
    members = [_hire(_WORK[what], words) for _ in range(int(count))]
    for line in sys.stdin:
        began = time.perf_counter()
        for orders, _ in members:
            os.write(orders, struct.pack("=d", float(line)))
        done = sum(_COUNT.unpack(os.read(answers, 8))[0] for _, answers in members)
        print(done / (time.perf_counter() - began), flush=True)


class Crew:
    """The processes, from outside."""

    def __init__(self, count: int, what: str, *words: str) -> None:
        arguments = [sys.executable, "-m", "bench.crew", str(count), what, *words]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def rate(self, seconds: float) -> float:
        """How often it was done per second."""
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

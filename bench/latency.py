"""How long an idle jobd takes from a submit to the start of its work, beside one durable append to the same disk."""

from __future__ import annotations

import random
import time

from bench.daemon import Daemon, daemon
from bench.paired import percentile, spread
from bench.sqlite import Disk
from bench.table import Line

_PAUSE_SECONDS = (0.01, 0.03)


def measure(samples: int) -> list[Line]:
    """Submit one run at a time with pauses in between, of a call and of a program."""
    with daemon(workers=2) as jobd:
        disk = Disk(jobd.directory / "append")
        try:
            return [
                *_of("submit to start when idle, Python", jobd, disk, "call", samples),
                *_of("submit to start when idle, /bin/true", jobd, disk, "spawn", samples),
            ]
        finally:
            disk.close()


def _of(name: str, jobd: Daemon, disk: Disk, job: str, samples: int) -> list[Line]:
    _sample(jobd, disk, job)
    pairs = [_sample(jobd, disk, job) for _ in range(samples)]
    waits, syncs = [wait for wait, _ in pairs], [sync for _, sync in pairs]
    times = spread([wait / sync for wait, sync in pairs])
    value = f"p50 {_shown(waits, 50)}, p99 {_shown(waits, 99)}"
    reference = f"4 KiB append + fdatasync p50 {_shown(syncs, 50)}, p99 {_shown(syncs, 99)}"
    return [Line(name, value, reference, f"{times.median:.1f} [{times.low:.1f}..{times.high:.1f}]")]


def _sample(jobd: Daemon, disk: Disk, job: str) -> tuple[float, float]:
    """Seconds from the submit to the start of one run, and of a durable append right before."""
    sync, at = disk.sync(), time.time()
    run, _ = jobd.submit([{"job": job}])
    jobd.await_final(run, run)
    started_at = jobd.started_at(run)
    time.sleep(random.uniform(*_PAUSE_SECONDS))
    return started_at - at, sync


def _shown(seconds: list[float], percent: float) -> str:
    return f"{percentile(seconds, percent) * 1e3:.2f} ms"

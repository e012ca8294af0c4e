"""Runs end to end, status and history durable: programs beside a bare pool, calls beside SQLite's own lives."""

from __future__ import annotations

from functools import partial

from bench.daemon import Daemon, daemon
from bench.paired import rounds
from bench.spawning import BarePool
from bench.sqlite import Raw
from bench.table import Line, compared

_REFERENCE_SECONDS = 0.3
_PROGRAMS, _CALLS = 500, 1500


def programs(count: int, workers: int = 8) -> list[Line]:
    """Runs of /bin/true a second with so many workers."""
    pool_of, case = f"bare posix_spawn pool of {workers}", f"/bin/true runs, {workers} workers"
    with daemon(workers=workers) as jobd:
        pool = BarePool(workers)
        try:
            burn(jobd, "spawn", _PROGRAMS)
            cases = {case: partial(burn, jobd, "spawn", _PROGRAMS), pool_of: partial(pool.rate, _REFERENCE_SECONDS)}
            rates = rounds(cases, count)
        finally:
            pool.close()
    return [compared(case, rates, case, pool_of, aim=0.5)]


def calls(count: int, workers: int = 2) -> list[Line]:
    """Runs of a Python callable that does nothing a second with so many workers."""
    reference, case = "apsw FULL, 50 lives a commit", f"no-op Python runs, {workers} workers"
    with daemon(workers=workers) as jobd:
        raw = Raw(jobd.directory / "raw.db")
        try:
            burn(jobd, "call", _CALLS)
            cases = {case: partial(burn, jobd, "call", _CALLS), reference: partial(raw.lives, _REFERENCE_SECONDS, 50)}
            rates = rounds(cases, count)
        finally:
            raw.close()
    return [compared(case, rates, case, reference, absolute=4000)]


def burn(jobd: Daemon, job: str, count: int) -> float:
    """Submit so many runs of a job at once and wait for them all: runs a second between 10 % and 90 % of them."""
    first, last = jobd.submit([{"job": job}] * count)
    jobd.await_final(first, last)
    ends = jobd.ends(first, last)
    tenth = count // 10
    return (count - 2 * tenth) / (ends[count - tenth - 1] - ends[tenth - 1])

"""Runs end to end, status and history durable: programs beside a bare pool, calls beside SQLite's own lives, requests
beside bare clients.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench.crew import Crew
from bench.daemon import Daemon, daemon, room
from bench.paired import rounds
from bench.sqlite import Raw
from bench.table import Line, compared
from bench.web import server

_REFERENCE_SECONDS = 0.3
_PROGRAMS, _CALLS, _REQUESTS = 500, 1500, 800
_SIZES = (1, 2, 4, 8, 16)
_LIMITS = {"files": 256, "core": 0, "file_size": "1GiB", "cpu_time": "1m"}


def programs(count: int) -> list[Line]:
    """Runs of /bin/true a second, output captured, with so many workers each."""
    return [line for workers in _SIZES for line in _programs(count, workers)]


def _programs(count: int, workers: int) -> list[Line]:
    pool_of, case = f"bare posix_spawn pool of {workers}", f"/bin/true runs, {workers} worker{'s'[: workers > 1]}"
    with daemon(workers=workers) as jobd:
        pool = Crew(workers, "spawn")
        try:
            burn(jobd, "spawn", _PROGRAMS)
            cases = {case: partial(burn, jobd, "spawn", _PROGRAMS), pool_of: partial(pool.rate, _REFERENCE_SECONDS)}
            rates = rounds(cases, count)
        finally:
            pool.close()
    return [compared(case, rates, case, pool_of, aim=0.75 if workers in (1, 2, 8) else None)]


def asked_of_programs(count: int, workers: int = 8) -> list[Line]:
    """The same runs where more is asked of each, beside those of which nothing is."""
    plain, jobs = "plain /bin/true runs", {"with limits": {"limits": _LIMITS}, "as another user": {"user": "nobody"}}
    if os.geteuid() != 0:
        del jobs["as another user"]
    with _with_jobs(
        workers, {_name(asked): {"command": ["/bin/true"]} | words for asked, words in jobs.items()}
    ) as jobd:
        cases = {plain: partial(burn, jobd, "spawn", _PROGRAMS)}
        cases |= {asked: partial(burn, jobd, _name(asked), _PROGRAMS) for asked in jobs}
        for case in cases.values():
            case()
        rates = rounds(cases, count)
    return [compared(f"/bin/true runs {asked}, {workers} workers", rates, asked, plain) for asked in jobs]


def requests(count: int, workers: int = 2) -> list[Line]:
    """Runs of an HTTP request to a server on loopback a second with so many workers."""
    case, bare = f"http runs, {workers} workers", f"{workers} bare clients"
    with server() as port, _with_jobs(workers, {"ask": {"http": {"url": f"http://127.0.0.1:{port}/"}}}) as jobd:
        crew = Crew(workers, "ask", str(port))
        try:
            burn(jobd, "ask", _REQUESTS)
            cases = {case: partial(burn, jobd, "ask", _REQUESTS), bare: partial(crew.rate, _REFERENCE_SECONDS)}
            rates = rounds(cases, count)
        finally:
            crew.close()
    return [compared(case, rates, case, bare, absolute=1000 * workers)]


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


def _name(asked: str) -> str:
    return asked.replace(" ", "-")


@contextmanager
def _with_jobs(workers: int, jobs: dict[str, Any]) -> Iterator[Daemon]:
    """A jobd with these jobs beside the usual ones."""
    with room() as directory:
        (directory / "asked.yaml").write_text(json.dumps({"jobs": jobs}))
        with daemon(workers, definitions=directory) as jobd:
            yield jobd

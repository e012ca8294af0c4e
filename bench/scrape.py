"""What a scrape of the metrics takes of a daemon with ten thousand jobs and a million runs behind it."""

from __future__ import annotations

import time
import urllib.request

from bench import definitions, history
from bench.daemon import daemon, room
from bench.paired import spread
from bench.table import Line

_JOBS = 10_000
_RUNS = 1_000_000
_MOST_SECONDS = 0.05
_FORMATS = {"text": "text/plain", "OpenMetrics": "application/openmetrics-text; version=1.0.0"}


def measure(rounds: int, *, jobs: int = _JOBS, runs: int = _RUNS) -> list[Line]:
    """A scrape from its first byte to its last, in both formats; the daemon is idle otherwise."""
    with room() as directory:
        folder, state = directory / "jobs", directory / "state"
        definitions.write(folder, jobs, definitions.mixed(jobs))
        state.mkdir(mode=0o700)
        with daemon(workers=1, definitions=folder, state=state):
            pass  # so that the jobs are known
        history.fill(state / "jobd.db", runs)
        with daemon(workers=1, definitions=folder, state=state) as jobd:
            address = f"http://{jobd.client.status()['metrics_address']}/metrics"
            return [_line(name, _scrapes(address, accept, rounds), jobs, runs) for name, accept in _FORMATS.items()]


def _scrapes(address: str, accept: str, rounds: int) -> tuple[list[float], int]:
    times, size = [], 0
    for _ in range(rounds + 1):
        began = time.perf_counter()
        with urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": accept}), timeout=60) as answer:
            size = len(answer.read())
        times.append(time.perf_counter() - began)
    return times[1:], size


def _line(name: str, scraped: tuple[list[float], int], jobs: int, runs: int) -> Line:
    own = spread(scraped[0])
    return Line(
        f"scrape ({name}), {jobs:,} jobs, {runs:,} runs",
        f"{own.median * 1e3:,.0f} ms [{own.low * 1e3:,.0f}..{own.high * 1e3:,.0f}]",
        f"{scraped[1] / 1e6:.1f} MB",
        "",
        f"<= {_MOST_SECONDS * 1e3:,.0f} ms",
        own.median <= _MOST_SECONDS,
    )

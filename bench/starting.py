"""How long jobd-ctl and the daemon take to start, beside an interpreter that has nothing to do."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from bench import definitions
from bench.daemon import ROOT, daemon, room
from bench.paired import ratio, rounds, spread
from bench.table import Line

_JOBS = 100
_BARE = "bare interpreter"


def measure(count: int) -> list[Line]:
    """`jobd-ctl status` of a daemon with a hundred jobs, and that daemon's start, to its first answer."""
    with room() as directory:
        jobs = directory / "jobs"
        definitions.write(jobs, _JOBS, definitions.mixed(_JOBS))

        def start() -> float:
            began = time.perf_counter()
            with daemon(workers=1, definitions=jobs):
                return time.perf_counter() - began

        with daemon(workers=1, definitions=jobs) as jobd:
            status = ["-m", "jobd.cli.ctl", "--socket", jobd.socket, "status"]
            cases = {_BARE: lambda: _seconds(["-c", "pass"]), "status": lambda: _seconds(status)}
            asked = rounds(cases, count * 3)
        started = rounds({_BARE: cases[_BARE], "start": start}, count)
    return [
        _line(f"jobd-ctl status, {_JOBS} jobs", asked, "status", 0.15),
        _line(f"start of the daemon to its first answer, {_JOBS} jobs", started, "start", 1.0),
    ]


def _seconds(words: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def _line(name: str, took: dict[str, list[float]], case: str, most: float) -> Line:
    own, bare, times = spread(took[case]), spread(took[_BARE]), ratio(took, case, _BARE)
    return Line(
        name,
        f"{own.median * 1e3:,.0f} ms [{own.low * 1e3:,.0f}..{own.high * 1e3:,.0f}]",
        f"{_BARE} {bare.median * 1e3:,.0f} ms",
        f"{times.median:.1f} [{times.low:.1f}..{times.high:.1f}]",
        f"<= {most * 1e3:,.0f} ms",
        own.median <= most,
    )

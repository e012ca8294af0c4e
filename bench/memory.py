"""What an idle jobd holds in memory, beside the libraries it is made of and a bare interpreter."""

from __future__ import annotations

import subprocess
import sys

from bench.daemon import daemon
from bench.table import Line

_LIBRARIES = "asyncio, aiohttp.web, apsw, croniter, psutil, pydantic, watchfiles, yaml"
_WORKERS = 2


def measure() -> list[Line]:
    """Resident memory of the supervisor, and each worker's share, once everything has been used."""
    with daemon(workers=_WORKERS) as jobd:
        first, last = jobd.submit([{"job": job} for job in ("call", "spawn") * 20])
        jobd.await_final(first, last)
        supervisor = resident(jobd.pid)
        shares = sorted(_kib(pid, "smaps_rollup", "Pss:") / 1024 for pid in jobd.workers())
        residents = sorted(resident(pid) for pid in jobd.workers())
    bare, libraries = _bare("sys"), _bare(_LIBRARIES)
    return [
        Line(
            "supervisor, resident when idle",
            f"{supervisor:.1f} MB",
            f"its libraries imported {libraries:.1f} MB",
            f"{supervisor / libraries:.2f}",
            "<= 60 MB",
            supervisor <= 60,
        ),
        Line(
            f"worker, of {_WORKERS}",
            f"{shares[-1]:.1f} MB PSS, {residents[-1]:.1f} MB RSS",
            f"bare interpreter {bare:.1f} MB RSS",
            f"{residents[-1] / bare:.2f}",
        ),
    ]


def _bare(modules: str) -> float:
    """MB resident in an interpreter that has imported these and nothing else."""
    code = f"import {modules}\nprint(next(l for l in open('/proc/self/status') if l.startswith('VmRSS:')).split()[1])"
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    return int(said.stdout) / 1024


def resident(pid: int) -> float:
    """MB resident in a process."""
    return _kib(pid, "status", "VmRSS:") / 1024


def _kib(pid: int, file: str, key: str) -> int:
    with open(f"/proc/{pid}/{file}", encoding="ascii", errors="replace") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key))

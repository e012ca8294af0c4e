"""`bench/run`: measures what is asked for, or everything, and prints one table."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable

import apsw

from bench import (
    allowlist,
    besides,
    idle,
    latency,
    lateness,
    loading,
    masking,
    memory,
    parts,
    readiness,
    scrape,
    starting,
    submits,
    throughput,
)
from bench.table import Line, as_json, text

_MEASURES: dict[str, Callable[[int], list[Line]]] = {
    "submits": submits.measure,
    "programs": throughput.programs,
    "asked": throughput.asked_of_programs,
    "requests": throughput.requests,
    "calls": throughput.calls,
    "latency": lambda rounds: latency.measure(rounds * 20),
    "starting": starting.measure,
    "memory": lambda _rounds: memory.measure(),
    "load": loading.measure,
    "readiness": readiness.measure,
    "lateness": lambda _rounds: lateness.measure(),
    "masking": lambda _rounds: masking.measure(),
    "idle": lambda _rounds: idle.measure(),
    "scrape": scrape.measure,
    "allowlist": allowlist.measure,
    "parts": parts.measure,
}
_ASKED_FOR: dict[str, Callable[[int], list[Line]]] = {"peers": besides.measure}
"""What installs other queues first: measured where it is named, never as part of everything."""


def main() -> None:
    words = _parser().parse_args()
    lines: list[Line] = []
    for name in words.what or _MEASURES:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        lines += (_MEASURES | _ASKED_FOR)[name](words.rounds)
    if words.json:
        print(as_json(lines))
    else:
        print(f"{_machine()}\n\n{text(lines)}")
    sys.exit(1 if words.strict and any(line.met is False for line in lines) else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench/run", description="Measure jobd beside raw limits of this machine.")
    parser.add_argument(
        "what", nargs="*", choices=[*_MEASURES, *_ASKED_FOR, []], help="what to measure; everything if not said"
    )
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="paired rounds of each measure (9)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--strict", action="store_true", help="end with 1 where an aim is missed")
    return parser


def _machine() -> str:
    return (
        f"{os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}, "
        f"SQLite {apsw.sqlite_lib_version()}, load {os.getloadavg()[0]:.1f}"
    )


main()

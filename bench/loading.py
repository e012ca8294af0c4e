"""How long definitions take until they are in force, beside reading their YAML and nothing else."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import yaml
from cronsim import CronSim

from bench import definitions
from bench.daemon import Daemon, daemon, room
from bench.paired import Spread, spread
from bench.table import Line
from jobd.core.model import Schedule
from jobd.core.schedule import Timetable

_MANY = 10_000
_EDITS = 7


def measure(rounds: int) -> list[Line]:
    """Cold and warm starts with a thousand and ten thousand jobs, one edit among them, and all next slots."""
    lines = []
    for count in (1000, _MANY):
        lines += _of(count, max(3, rounds // 3))
    return [*lines, _next_slots(max(3, rounds // 3))]


def _of(count: int, rounds: int) -> list[Line]:
    cold, warm, bare, edits = [], [], [], []
    with room() as parent:
        jobs = parent / "jobs"
        definitions.write(jobs, count, definitions.mixed(count))
        for number in range(rounds):
            none = _start(parent / f"none-{number}", None)
            cold.append(_start(parent / f"state-{number}", jobs) - none)
            bare.append(_bare(jobs))
            warm.append(_start(parent / f"state-{number}", jobs) - none)
        state = parent / "state-0"
        with daemon(workers=1, definitions=jobs, state=state) as jobd:
            edits = [_edit(jobd, jobs / f"job-{number:05}.yaml", number) for number in range(_EDITS)]
    return [
        _beside(f"cold start, {count:,} jobs", cold, bare, 2.0),
        _beside(f"warm start, {count:,} jobs", warm, bare, 0.3),
        _edited(f"an edit in force, {count:,} jobs", spread(edits)),
    ]


def _start(state: Path, jobs: Path | None) -> float:
    """Seconds from the start of the daemon to its first answer."""
    state.mkdir(exist_ok=True)
    began = time.perf_counter()
    with daemon(workers=1, definitions=jobs, state=state):
        return time.perf_counter() - began


def _bare(jobs: Path) -> float:
    began = time.perf_counter()
    for file in sorted(jobs.iterdir()):
        yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
    return time.perf_counter() - began


def _edit(jobd: Daemon, file: Path, number: int) -> float:
    """Seconds from the rename of an edited file to the answer that shows what it says."""
    draft = file.with_name(f".{file.name}")
    draft.write_text(file.read_text().replace("timeout: 30m", f"timeout: {number + 1}m"))
    began = time.perf_counter()
    draft.rename(file)
    while jobd.client.job(file.stem)["definition"]["timeout"] != f"{number + 1}m":
        time.sleep(0.005)
    return time.perf_counter() - began


def _next_slots(rounds: int) -> Line:
    """The next slot of many jobs as at a start, every expression met for the first time, and cronsim's."""
    own, bare = [], []
    for number in range(rounds):
        own.append(_own(definitions.mixed(_MANY * (number + 1))[-_MANY:]))
        bare.append(_cronsim(definitions.mixed(_MANY * (number + 1))[-_MANY:]))
    return _beside(f"next slots of {_MANY:,} jobs", own, bare, 1.5, "bare cronsim loop")


def _own(expressions: list[str]) -> float:
    now, began = datetime.now(UTC), time.perf_counter()
    for number, expression in enumerate(expressions):
        Timetable(Schedule((expression,)), definitions.ZONE, f"job-{number}").next_after(now, now)
    return time.perf_counter() - began


def _cronsim(expressions: list[str]) -> float:
    now, began = datetime.now(), time.perf_counter()
    for expression in expressions:
        next(CronSim(expression, now))
    return time.perf_counter() - began


def _beside(name: str, own: list[float], bare: list[float], most: float, what: str = "bare CSafeLoader") -> Line:
    times = spread([one / other for one, other in zip(own, bare, strict=True)])
    shown = f"{times.median:.2f} [{times.low:.2f}..{times.high:.2f}]"
    return Line(
        name, _shown(spread(own)), f"{what} {_shown(spread(bare))}", shown, f"<= {most:g}x", times.median <= most
    )


def _edited(name: str, took: Spread) -> Line:
    return Line(name, _shown(took), aim="<= 100 ms", met=took.median <= 0.1)


def _shown(took: Spread) -> str:
    return f"{took.median * 1e3:,.0f} ms"

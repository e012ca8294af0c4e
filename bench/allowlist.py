"""What the allowlist costs a run: the check at the start of its attempt, which looks at the disk each time."""

from __future__ import annotations

import time
from statistics import median

from bench.table import Line
from jobd.core.allowlist import Allowlist
from jobd.core.model import Action, Command, Shell
from jobd.work.programs import Programs

_AIM_SECONDS = 0.02e-3
_CALLS = 2000
_CASES: dict[str, Action] = {
    "allowlist, shell text": Shell("ls -la '/var/log' --color=never"),
    "allowlist, command by name": Command(("ls", "-la", "/var/log")),
    "allowlist, command by path": Command(("/bin/ls", "-la", "/var/log")),
}


def measure(rounds: int) -> list[Line]:
    """Milliseconds for one check, over so many rounds of two thousand."""
    listed = Allowlist(("/bin/ls", "ls", *(f"program-{number}" for number in range(50))), Programs())
    return [_line(name, median(_seconds(listed, action) for _ in range(rounds))) for name, action in _CASES.items()]


def _seconds(listed: Allowlist, action: Action) -> float:
    began = time.perf_counter()
    for _ in range(_CALLS):
        listed.argv(action)
    return (time.perf_counter() - began) / _CALLS


def _line(name: str, seconds: float) -> Line:
    aim = f"< {_AIM_SECONDS * 1000:g} ms"
    return Line(name, f"{seconds * 1000:.4f} ms", aim=aim, met=seconds < _AIM_SECONDS)

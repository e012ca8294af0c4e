"""Definitions by the thousand, one to a file as packages and administrators leave them."""

from __future__ import annotations

import random
from datetime import datetime
from pathlib import Path

_TEXT = """\
jobs:
  {name}:
    description: Dump the database of shop {number}
    command: [{program}]
    schedule: "{schedule}"
    timezone: {zone}
    timeout: 30m
    retry: {{strategy: exponential, max_attempts: 5, base: 60s}}
    tags: [backup, shop]
    env: {{PGHOST: db{host}, PGUSER: backup}}
"""
ZONE = "Europe/Madrid"


def write(directory: Path, count: int, schedules: list[str], *, prefix: str = "job", zone: str = ZONE) -> None:
    """So many files of one job each, which take the schedules in turn."""
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    for number in range(count):
        name, schedule = f"{prefix}-{number:05}", schedules[number % len(schedules)]
        program = "/bin/true, -Fc" if prefix == "job" else "/bin/true"
        text = _TEXT.format(name=name, number=number, program=program, schedule=schedule, zone=zone, host=number % 7)
        (directory / f"{name}.yaml").write_text(text)


def mixed(count: int) -> list[str]:
    """Schedules such as crontabs hold, nearly all of them different: none is due within hours."""
    drawn, month = random.Random(4711), (datetime.now().month + 5) % 12 + 1
    days = ("*", "1-5", "0", "1,3,5")
    return [
        f"{drawn.randrange(60)} {drawn.randrange(24)} {drawn.choice(('*', '1', '1-7,15'))} {month} {drawn.choice(days)}"
        for _ in range(count)
    ]

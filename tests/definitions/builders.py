"""Short ways to put definitions on a disk and to read them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from jobd.definitions.defined import Defined
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.library import Library
from jobd.definitions.parse import parse
from jobd.definitions.problems import Malformed


def job(name: str, *more: str, command: str = "[/bin/true]") -> str:
    """A file with one job."""
    return "\n".join([f"jobs:\n  {name}:", f"    command: {command}", *(f"    {line}" for line in more)]) + "\n"


def old(path: Path, text: str | bytes) -> Path:
    """Write a file that has been there for an hour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    return path


def read(text: str, *drop_ins: str, rules: Rules | None = None) -> dict[str, Defined]:
    """The jobs of a file `f.yaml` and its drop-ins `d1.yaml`, …"""
    main = parse(text.encode(), "f.yaml")
    assert main is not None
    nodes = [parse(drop_in.encode(), f"d{index}.yaml") for index, drop_in in enumerate(drop_ins, 1)]
    found = interpret(main, [node for node in nodes if node is not None], rules or Rules())
    return {one.job.name: one for one in found}


def problems(text: str, *drop_ins: str, rules: Rules | None = None) -> list[str]:
    """What is wrong with a file, as an operator reads it."""
    try:
        read(text, *drop_ins, rules=rules)
    except Malformed as malformed:
        return [str(problem) for problem in malformed.problems]
    return []


class Clock:
    """Time that stands still until it is moved; the wall goes with it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._offset = time.time() - self.now

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self._offset

    def library(self, *directories: Path, rules: Rules | None = None) -> Library:
        return Library([str(one) for one in directories], rules, monotonic=self.monotonic, wall=self.wall)

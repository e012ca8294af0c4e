"""What is wrong with a file, and where: the one shape in which definitions and settings report problems."""

from __future__ import annotations

from typing import NamedTuple

from jobd.core.errors import JobdError


class Place(NamedTuple):
    """A character in a file; lines and columns count from 1, and line 0 stands for the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Problem(NamedTuple):
    """One thing that is wrong: `FILE:LINE:COL: jobs.NAME.key: what is wrong (what is allowed)`."""

    place: Place
    path: str
    """Dotted key, as `jobs.nightly.retry.base` or `jobs.nightly.command[2]`; empty for the file as a whole."""
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.path}: {self.message}" if self.path else f"{self.place}: {self.message}"


class Malformed(JobdError):
    """A file cannot be used; `problems` has at least one entry."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems

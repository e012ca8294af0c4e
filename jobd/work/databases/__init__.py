"""Databases of jobs: one module for each kind, all with the same two functions; none of them is jobd's own store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave: the first rows of its table, or how many rows it changed."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    """At most one more than was asked for."""
    changed: int


@dataclass(frozen=True, slots=True)
class Query:
    statement: str
    params: Any
    """A list or a mapping, bound and never put into the text; None for none."""
    most_rows: int
    seconds: float


_READS = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:select|values|table|with|show|explain)\b", re.I | re.S)


def only_reads(statement: str) -> bool:
    """Whether a statement looks as if it changed nothing, by how it begins; a `with` may do so all the same."""
    return _READS.match(statement) is not None


class Refusal(Exception):
    """The database did not do it; `retryable` where that may pass."""

    def __init__(self, error: str, *, retryable: bool) -> None:
        super().__init__(error)
        self.retryable = retryable

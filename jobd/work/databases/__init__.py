"""Databases of jobs: one module for each kind, all with the same two functions; none of them is jobd's own store."""

from __future__ import annotations

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


class Refusal(Exception):
    """The database did not do it; `retryable` where that may pass."""

    def __init__(self, error: str, *, retryable: bool) -> None:
        super().__init__(error)
        self.retryable = retryable

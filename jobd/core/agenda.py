"""Which job is due next: a heap of instants and names that forgets lazily."""

from __future__ import annotations

from datetime import datetime
from heapq import heapify, heappop, heappush


class Agenda:
    """The next instant of each job, the earliest first. Setting one costs O(log n)."""

    __slots__ = ("_at", "_heap")

    def __init__(self) -> None:
        self._at: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []

    def __len__(self) -> int:
        return len(self._at)

    def set(self, name: str, at: datetime | None) -> None:
        """Make `at` the next instant of a job; None takes it off."""
        if at is None:
            self.remove(name)
        elif self._at.get(name) != at:
            self._at[name] = at
            heappush(self._heap, (at, name))
            self._sweep()

    def remove(self, name: str) -> None:
        """Take a job off, if it is on."""
        self._at.pop(name, None)
        self._sweep()

    def at(self, name: str) -> datetime | None:
        """When a job is due next; None where it is not on the agenda."""
        return self._at.get(name)

    def names(self) -> list[str]:
        """Every job on it, in no order."""
        return list(self._at)

    def next_at(self) -> datetime | None:
        """The earliest instant; None when nothing is on it."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def recall(self, at: datetime) -> None:
        """Make an instant the next of every job on it."""
        self._at = dict.fromkeys(self._at, at)
        self._heap = [(at, name) for name in self._at]

    def due(self, now: datetime, most: int) -> list[str]:
        """The first jobs whose instant has come, earliest first. They stay on until they are set anew."""
        found: dict[str, datetime] = {}
        while self._heap and self._heap[0][0] <= now and len(found) < most:
            at, name = heappop(self._heap)
            if self._at.get(name) == at:
                found[name] = at
        for name, at in found.items():
            heappush(self._heap, (at, name))
        return list(found)

    def _drop_stale(self) -> None:
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)

    def _sweep(self) -> None:
        """Build the heap anew when most of it is stale, so that it never grows with the number of changes."""
        if len(self._heap) > 2 * len(self._at) + 64:
            self._heap = [(at, name) for name, at in self._at.items()]
            heapify(self._heap)

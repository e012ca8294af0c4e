"""Keeps what happened lately in memory, numbered, for whoever follows along; what is older is gone from here."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from datetime import datetime
from itertools import islice

from jobd.core.events import AttemptFinished, Event, StoreCommitted

_KEPT = 4096


class Recent:
    """The last few thousand events. Their numbers only grow, also over a restart: they begin at the time of it."""

    def __init__(self, started_at: datetime, kept: int = _KEPT) -> None:
        self._events: deque[Event] = deque(maxlen=kept)
        self.last = int(started_at.timestamp() * 1000) * 1000
        """The number of the newest event (at first, of none)."""
        self._moved: asyncio.Future[None] | None = None

    @property
    def first(self) -> int:
        """The number of the oldest event that is kept; one more than `last` where there is none."""
        return self.last + 1 - len(self._events)

    def take(self, event: Event) -> None:
        """Keep an event; what it carries of a run's result is not kept with it."""
        if isinstance(event, StoreCommitted):
            return
        if isinstance(event, AttemptFinished) and event.ending.result is not None:
            event = replace(event, ending=replace(event.ending, result=None))
        self._events.append(event)
        self.last += 1
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None

    def after(self, number: int, limit: int) -> list[tuple[int, Event]]:
        """The first `limit` events behind a number, of those that are kept."""
        start = max(0, number + 1 - self.first)
        found = islice(self._events, start, start + limit)
        return list(enumerate(found, self.first + start))

    def moved(self) -> asyncio.Future[None]:
        """Done at the next event. Shared between callers: never to be cancelled."""
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        return self._moved

"""Keeps denials in the audit trail: a user's first at once, the next of ten seconds as one entry with their count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from jobd.core.intents import Actor, Noted

_WINDOW_SECONDS = 10.0


@dataclass(slots=True)
class Denials:
    """`note` takes an entry into the trail, soon."""

    note: Callable[[Noted], None]
    _held: dict[int, Noted | None] = field(default_factory=dict)
    """By the uid of who was denied something a moment ago: what has come since."""

    def take(self, who: Actor, what: str, why: str) -> None:
        """Somebody asked for what they may not."""
        entry = Noted(who, what, detail=why, result="denied")
        if who.uid not in self._held:
            self._held[who.uid] = None
            asyncio.get_running_loop().call_later(_WINDOW_SECONDS, self.let_go, who.uid)
            self.note(entry)
            return
        held = self._held[who.uid]
        self._held[who.uid] = entry if held is None else replace(entry, times=held.times + 1)

    def let_go(self, uid: int) -> None:
        """Keep what a user was denied in the meantime."""
        held = self._held.pop(uid, None)
        if held is not None:
            self.note(held)

"""The list of all jobs as JSON text: what is written of a job is kept until something of it changes.

With ten thousand jobs writing them all takes a third of a second, and nothing else may wait for so long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

from aiohttp import web

from jobd.control import shapes
from jobd.control.ports import DefinedJob, Desk
from jobd.core.records import JobStanding

_TURN_SECONDS = 0.02
"""After so long, everything else has a turn."""
_LOOK_EVERY = 64
_KEPT_SECONDS = 60.0
"""Where nobody has looked for so long, nothing is kept: it takes a kilobyte for each job."""


@dataclass(slots=True)
class Listing:
    """Every job as a listing shows it. What it is made of comes as the same objects while nothing changes."""

    _kept: Mapping[str, tuple[DefinedJob, JobStanding | None, bytes]] = field(default_factory=dict)
    _forgets: asyncio.TimerHandle | None = None

    async def jobs(self, desk: Desk) -> bytes:
        """A JSON array of all jobs, by name."""
        defined, standings, before = desk.jobs(), desk.reads.standings(), self._kept
        now: dict[str, tuple[DefinedJob, JobStanding | None, bytes]] = {}
        until = time.monotonic() + _TURN_SECONDS
        for count, name in enumerate(sorted(defined)):
            one, standing, known = defined[name], standings.get(name), before.get(name)
            if known is None or known[0] is not one or known[1] is not standing:
                known = (one, standing, shapes.encode(shapes.job(one, standing)))
            now[name] = known
            if count % _LOOK_EVERY == 0 and time.monotonic() > until:
                await asyncio.sleep(0)
                until = time.monotonic() + _TURN_SECONDS
        self._keep(now)
        return b"[" + b",".join([text for _, _, text in now.values()]) + b"]"

    async def first(self, desk: Desk, most: int | None) -> bytes:
        """A JSON array of the first so many jobs by name, or of all."""
        defined = desk.jobs()
        if most is None or len(defined) <= most:
            return await self.jobs(desk)
        chosen = nsmallest(most, defined)
        return shapes.encode([shapes.job(defined[name], desk.reads.standing(name)) for name in chosen])

    def _keep(self, jobs: Mapping[str, tuple[DefinedJob, JobStanding | None, bytes]]) -> None:
        self._kept = jobs
        if self._forgets is not None:
            self._forgets.cancel()
        self._forgets = asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._forget)

    def _forget(self) -> None:
        self._kept, self._forgets = {}, None


LISTING: web.AppKey[Listing] = web.AppKey("listing", Listing)


def with_jobs(shown: Mapping[str, Any], key: str, jobs: bytes) -> web.Response:
    """An answer that has the list of jobs under `key`."""
    rest = shapes.encode(dict(shown))[1:]
    comma = b"," if shown else b""
    return web.Response(body=b'{"' + key.encode() + b'":' + jobs + comma + rest, content_type="application/json")

"""The sinks that jobd.yaml names: each is told what happened, as `/v1/events` tells it, and what ails it is shown."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping

from jobd.control import happened
from jobd.core.events import Event
from jobd.core.model import Json
from jobd.observe.metrics import Metrics
from jobd.work.outlet import Ears, Outlet


class Outlets:
    """Falsy without sinks, so that nobody pays for what nobody asked for."""

    def __init__(self, sinks: Mapping[str, Json], metrics: Metrics, degrade: Callable[[str, str], None]) -> None:
        self._number = 0
        ears = Ears(metrics.count_sink, lambda name, ailment: degrade(f"sink_{name}", ailment))
        loop = asyncio.get_running_loop()
        # The plug-ins that were admitted to this process are those that the sinks may come from.
        self._outlets = [Outlet(name, options, sys.path, loop, ears) for name, options in sinks.items()]

    def __bool__(self) -> bool:
        return bool(self._outlets)

    def take(self, event: Event) -> None:
        if type(event) not in happened.KINDS:
            return
        self._number += 1
        line = json.dumps(happened.event(self._number, event, contents=True), separators=(",", ":")).encode() + b"\n"
        for outlet in self._outlets:
            outlet.take(line)

    def close(self) -> None:
        for outlet in self._outlets:
            outlet.close()

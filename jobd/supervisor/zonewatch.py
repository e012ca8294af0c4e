"""Keeps the next slots true to the zone database: worked out anew when its files change, told of where they move."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from jobd.core import events, zones
from jobd.core.names import several
from jobd.definitions.watch import RESCAN_SECONDS
from jobd.observe.sentences import Priority
from jobd.supervisor import zonefiles
from jobd.supervisor.catalogs import AdoptCatalog, Change
from jobd.supervisor.keeper import Keeper
from jobd.supervisor.zonefiles import ZoneFiles


@dataclass(slots=True)
class ZoneWatch:
    """Follows the files of the time zones in use."""

    keeper: Keeper
    versions: Mapping[str, str]
    """What next slots are worked out by."""
    _files: ZoneFiles = field(default_factory=ZoneFiles)

    def begin(self, change: Change, before: Mapping[str, str]) -> None:
        """Tell what the first catalog moved since an earlier life, and remember how the files look."""
        self._tell(change, before)
        self._is_stale()

    async def follow(self) -> None:
        """Look at the files as often as at the definitions, until cancelled."""
        while True:
            await asyncio.sleep(RESCAN_SECONDS)
            if self._is_stale():
                await self._renew()

    def _is_stale(self) -> bool:
        timetables = (job.timetable for job in self.keeper.in_force.values())
        return self._files.changed({one.zone.name for one in timetables if one is not None})

    async def _renew(self) -> None:
        self.keeper.journal.note("The files of time zones in use changed: they are read anew", Priority.NOTICE)
        zones.forget()
        before, self.versions = self.versions, zonefiles.versions(self.keeper.engine.rules.host.zone)
        change: Change = await self.keeper.engine.adopt(AdoptCatalog(self.keeper.library.catalog, self.versions))
        self.keeper.tell(change)
        self._tell(change, before)

    def _tell(self, change: Change, before: Mapping[str, str]) -> None:
        cause = zonefiles.difference(before, self.versions)
        for one in change.moved:
            self.keeper.publish(events.ScheduleMoved(one.name, self.keeper.now(), one.before, one.now, cause))
        if change.moved:
            names = several([one.name for one in change.moved])
            self.keeper.warnings.append(f"the next slots of unchanged jobs moved ({cause}): {names}")

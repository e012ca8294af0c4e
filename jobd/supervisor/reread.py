"""jobd.yaml under a living daemon: read again at a reload, and put in force as far as it can be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jobd.core.allowlist import LAUNCHERS
from jobd.core.names import counted
from jobd.definitions.catalog import Catalog
from jobd.definitions.problems import Malformed, Problem
from jobd.observe.sentences import LEVELS
from jobd.supervisor import roles
from jobd.supervisor.resettle import Resettled, resettle
from jobd.supervisor.settings import Settings
from jobd.work.pool import PoolSettings

if TYPE_CHECKING:
    from jobd.supervisor.keeper import Keeper


class SettingsFile:
    """What the last look at jobd.yaml came to. `read` gives the settings it says now, or raises Malformed."""

    def __init__(self, keeper: Keeper, read: Callable[[], Settings]) -> None:
        self._keeper, self._read = keeper, read
        self.problems: tuple[Problem, ...] = ()
        """What is wrong with it; what was in force stays so."""
        self.waiting: tuple[str, ...] = ()
        """Words that were changed and wait for a start."""

    def warnings(self) -> Iterator[str]:
        """What is to be said of the settings in force."""
        settings = self._keeper.settings
        yield from self._keeper.unknown_holders
        launchers = [entry for entry in settings.shell_allowlist if entry.rpartition("/")[2] in LAUNCHERS]
        if launchers:
            yield (
                f"shell_allowlist: {', '.join(launchers)} can start any other program, so the list holds nothing back"
            )
        for word in self.waiting:
            yield f"jobd.yaml: {word} was changed and waits for a start (restart jobd)"

    def look(self) -> Resettled:
        """What it says now, held against what is in force; nothing changes but what is known of its problems."""
        try:
            read = self._read()
        except Malformed as malformed:
            self.problems = malformed.problems
            return Resettled(self._keeper.settings, waiting=self.waiting)
        self.problems = ()
        return resettle(self._keeper.settings, read)

    async def take_in(self) -> Resettled:
        """Put what it says now in force; definitions are judged anew where that binds them."""
        keeper, found = self._keeper, self.look()
        keeper.degrade("settings", stays(self.problems))
        self.waiting = found.waiting
        if "channels" in found.changed:
            keeper.rewire(found.settings)
        if found.changed:
            keeper.journal.note(f"jobd.yaml was changed and is in force: {', '.join(found.changed)}")
            go_by(keeper, found.settings)
        if found.binds_definitions:
            for _ in keeper.library.go_by(found.settings.rules):
                await asyncio.sleep(0)
        return found

    def preview(self) -> tuple[Resettled, Catalog]:
        """What a reload would come to; nothing changes."""
        found = self.look()
        return found, self._keeper.library.preview(found.settings.rules if found.binds_definitions else None)


def stays(problems: Sequence[Problem]) -> str:
    """What problems of files mean for what was in force; empty where there are none."""
    return f"{counted(len(problems), 'problem')}; what was in force stays: {problems[0]}" if problems else ""


def go_by(keeper: Keeper, settings: Settings) -> None:
    """Decide by these settings from now on, whatever was decided before."""
    keeper.settings = settings
    keeper.template = settings.template()
    keeper.roles, keeper.unknown_holders = roles.resolve(settings.roles, keeper.socket_gid)
    keeper.look_for_secrets(settings.mask)
    keeper.journal.level = LEVELS[settings.log_level]
    keeper.pruner.policy = settings.retention
    rules = keeper.engine.rules
    rules.bell.template = keeper.template
    rules.reservation = replace(
        rules.reservation, limits=settings.queues, rates=settings.rates, resources=settings.resources
    )
    rules.most_queued_per_user = settings.max_queued_per_user
    keeper.pool.adjust(of_pool(settings), settings.for_executors)
    keeper.engine.wake()


def of_pool(settings: Settings) -> PoolSettings:
    """What of the settings is for the pool of workers."""
    return PoolSettings(
        runtime_dir=settings.runtime_dir,
        output_dir=os.path.join(settings.state_dir, "output"),
        max_workers=settings.workers_max,
        idle_timeout_seconds=settings.idle_timeout_seconds,
        max_attempts_per_worker=settings.max_attempts_per_worker,
    )

"""Ends the daemon in order: no more reservations, time for what runs, then what each job wishes."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from jobd.core.errors import JobdError
from jobd.core.states import Outcome
from jobd.store.recovery import LeftAttempt, left_running

if TYPE_CHECKING:
    from jobd.supervisor.keeper import Keeper

_LOOK_SECONDS = 0.1
_EXTEND_SECONDS = 30.0
_STOP_GRACE_SECONDS = 15.0


class Drain:
    """Listens for the signals that end or reload the daemon."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._asked = asyncio.Event()
        self._at_once = asyncio.Event()
        self._reloads: set[asyncio.Task[None]] = set()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as the wish to end, SIGHUP as the wish to reload."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _end(self) -> None:
        if self._asked.is_set():
            self._at_once.set()
        self._asked.set()

    def _reload(self) -> None:
        if self._asked.is_set():
            return
        task = asyncio.get_running_loop().create_task(self._reload_now())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload_now(self) -> None:
        try:
            await self._keeper.reload()
        except JobdError as error:
            self._keeper.journal.note(f"the reload failed: {error}")

    async def done(self) -> None:
        """Wait for the wish to end, and until nothing is left to wait for."""
        await self._asked.wait()
        keeper = self._keeper
        keeper.engine.draining = True
        keeper.systemd.stopping("draining")
        running = self._running()
        keeper.journal.note(f"ending; {len(running)} attempts are under way")
        restarts = bool(running) and await asyncio.to_thread(keeper.is_restarting)
        if not restarts:
            await self._wait(keeper.settings.drain_timeout_seconds)
            await self._stop_what_may_be_stopped()
        await keeper.pool.close(1.0)

    def _running(self) -> list[LeftAttempt]:
        with self._keeper.writer.transaction(self._keeper.now()) as tx:
            return left_running(tx)

    async def _wait(self, seconds: float | None) -> None:
        """Wait until nothing runs: so long at most (None: as long as systemd lets us), or until a second signal."""
        loop = asyncio.get_running_loop()
        ends = None if seconds is None else loop.time() + seconds
        while self._keeper.pool.busy() and not self._at_once.is_set():
            if ends is not None and loop.time() >= ends:
                return
            self._keeper.systemd.extend_timeout(_EXTEND_SECONDS)
            try:
                await asyncio.wait_for(self._at_once.wait(), _LOOK_SECONDS)
            except TimeoutError:
                continue

    async def _stop_what_may_be_stopped(self) -> None:
        """What still runs is stopped, waited for or left to the next jobd, as its job says."""
        keeper = self._keeper
        waits = False
        for left in self._running():
            match keeper.wish(left):
                case "detach":
                    continue
                case "wait" if not self._at_once.is_set():
                    waits = True
                case _:
                    keeper.pool.stop(left.key, Outcome.INTERRUPTED)
        await self._wait(None if waits else _STOP_GRACE_SECONDS)

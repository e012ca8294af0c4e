"""Ends the daemon in order: no more reservations, time for what runs, then what each job wishes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from jobd.core.errors import JobdError
from jobd.core.names import counted
from jobd.core.states import Outcome
from jobd.store.recovery import LeftAttempt, left_running

if TYPE_CHECKING:
    from jobd.supervisor.keeper import Keeper

_LOOK_SECONDS = 0.1
_EXTEND_SECONDS = 30.0
_STOP_GRACE_SECONDS = 15.0
_CLOSE_SECONDS = 1.0
_RESTART_SECONDS = 0.2
"""What idle workers need to end; the busy ones go on, and the next daemon is waited for."""


class Drain:
    """Listens for the signals that end or reload the daemon."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._asked = asyncio.Event()
        self._at_once = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None
        self._is_reload_wanted = False

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as the wish to end, SIGHUP as the wish to reload."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def end(self) -> None:
        """Begin to end, the second time at once."""
        if self._asked.is_set():
            self._at_once.set()
        self._asked.set()

    def _reload(self) -> None:
        if self._asked.is_set():
            return
        self._is_reload_wanted = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._reload_all())

    async def _reload_all(self) -> None:
        """Reload, and once more where that was asked for meanwhile: a storm of signals makes no queue of reloads."""
        while self._is_reload_wanted:
            self._is_reload_wanted = False
            try:
                await self._keeper.reload()
            except JobdError as error:
                self._keeper.journal.note(f"the reload failed: {error}")

    async def done(self) -> None:
        """Wait for the wish to end, and until nothing is left to wait for."""
        await self._asked.wait()
        began = asyncio.get_running_loop().time()
        keeper = self._keeper
        keeper.engine.draining = True
        keeper.systemd.stopping("draining")
        count = len(self._running())
        keeper.journal.note(f"ending; {counted(count, 'attempt')} under way")
        if count and await asyncio.to_thread(keeper.is_restarting):
            await keeper.pool.close(_RESTART_SECONDS)
            return
        await self._wait(keeper.settings.drain_timeout_seconds, keeper.pool.busy)
        await self._end_what_still_runs(began)
        await keeper.pool.close(_CLOSE_SECONDS)

    async def _end_what_still_runs(self, began: float) -> None:
        """What still runs is stopped, waited for or left to the next jobd, as its job says."""
        self._stop("stop", "requeue")
        if self._wishing("wait"):
            await self._wait(await self._time_to_wait(began), lambda: self._wishing("wait"))
            self._stop("wait")
        await self._wait(_STOP_GRACE_SECONDS, lambda: self._wishing("stop", "requeue", "wait"))

    async def _time_to_wait(self, began: float) -> float | None:
        """The seconds until what still runs must be stopped, to be gone when systemd's patience ends."""
        timeout = await asyncio.to_thread(self._keeper.stop_timeout_seconds)
        if timeout is None:
            return None
        return began + timeout - _STOP_GRACE_SECONDS - asyncio.get_running_loop().time()

    def _running(self) -> list[LeftAttempt]:
        with self._keeper.writer.transaction(self._keeper.now()) as tx:
            return left_running(tx)

    def _wishing(self, *wishes: str) -> list[LeftAttempt]:
        """The attempts under way whose jobs have one of these wishes."""
        return [left for left in self._running() if self._keeper.wish(left) in wishes]

    def _stop(self, *wishes: str) -> None:
        for left in self._wishing(*wishes):
            self._keeper.pool.stop(left.key, Outcome.INTERRUPTED)

    async def _wait(self, seconds: float | None, under_way: Callable[[], object]) -> None:
        """Wait until nothing is under way: so long at most (None: for ever), or until a second signal."""
        loop = asyncio.get_running_loop()
        ends = None if seconds is None else loop.time() + seconds
        while not self._at_once.is_set() and under_way():
            if ends is not None and loop.time() >= ends:
                return
            self._keeper.systemd.extend_timeout(_EXTEND_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._at_once.wait(), _LOOK_SECONDS)

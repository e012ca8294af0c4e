"""Says when definitions may have changed, and keeps a library up to date by it.

inotify is only a hint: it can lose events without a word and goes deaf when a directory is replaced. So directories are
looked at twice a second for being the same, and everything is looked at anew every half minute, or, where that takes
long because there are thousands of files, as often as a thousandth of the time allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Sequence

from jobd.definitions.catalog import Catalog
from jobd.definitions.library import Library

RESCAN_SECONDS = 30.0
_CANCELLED_AGAIN_SECONDS = 0.2
_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 0.3
"""Between hints, so that a storm of changes costs at most three scans a second."""
_RESTART_SECONDS = 5.0
_STEP_MS = 50
"""How often the watching thread wakes. A file must settle for longer anyway, and idle hosts should idle."""
_BUDGET_SECONDS = 0.02
_REST_FACTOR = 1000
"""So many times as long as a scan took is the least until the next one that nothing hinted at."""
_LONGEST_REST_SECONDS = 600.0

_Identity = tuple[int, int] | None


async def follow(
    library: Library,
    directories: Sequence[str],
    on_catalog: Callable[[Catalog], None],
    on_degraded: Callable[[str], None],
    *,
    rescan_seconds: float = RESCAN_SECONDS,
) -> None:
    """Rescan the library whenever that may be worth it, and hand over each catalog that differs, until cancelled.

    `on_degraded` gets a sentence when watching fails, and an empty one when it works again. Reading many files is done
    in slices of 20 ms, so that the loop stays quick.
    """
    hinted = asyncio.Event()
    last, took = library.catalog, 0.0

    def rest() -> float:
        return max(rescan_seconds, min(took * _REST_FACTOR, _LONGEST_REST_SECONDS))

    watching = asyncio.create_task(watch(directories, hinted.set, on_degraded, rest))
    try:
        while not watching.done():
            # The clock decides as well as the hint: a file that was not settled is looked at again without one.
            # (Python 3.11's wait_for can lose a cancellation that comes together with the hint: jobd would not end.)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(library.wait_seconds):
                    await hinted.wait()
            hinted.clear()
            began = time.monotonic()
            catalog = library.rescan(budget_seconds=_BUDGET_SECONDS)
            took = time.monotonic() - began
            if catalog is not last and catalog != last:
                on_catalog(catalog)
            last = catalog
            await asyncio.sleep(0.001)
        watching.result()
    finally:
        await ended(watching)


async def watch(
    directories: Sequence[str],
    on_hint: Callable[[], None],
    on_degraded: Callable[[str], None],
    rest: Callable[[], float] = lambda: RESCAN_SECONDS,
) -> None:
    """Call `on_hint` when something in the directories may have changed, and after each `rest`, until cancelled.

    Directories may be missing, come, go and be replaced. Where watching fails it is tried again, `on_degraded` says
    why, and hints come twice a second meanwhile.
    """
    watcher: asyncio.Task[None] | None = None
    known: list[_Identity] = []
    degraded, restart_at, hint_at = False, 0.0, 0.0
    try:
        while True:
            now, present = time.monotonic(), [_identity(directory) for directory in directories]
            if watcher is not None and watcher.done():
                on_degraded(f"definitions are polled, watching them fails: {_reason(watcher)}")
                watcher, degraded, restart_at = None, True, now + _RESTART_SECONDS
            if present != known or (watcher is None and now >= restart_at):
                await _stop(watcher)
                watcher = asyncio.create_task(_hints(_existing(directories), on_hint))
                # One turn of the loop arms it; what changed before that is found by the two hints that follow.
                await asyncio.sleep(0)
                known, hint_at = present, 0.0
            elif degraded and watcher is not None:
                degraded = False
                on_degraded("")
            if degraded or now >= hint_at:
                hint_at = now + (_LOOK_SECONDS if hint_at == 0.0 else rest())
                on_hint()
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await _stop(watcher)


async def _hints(directories: Sequence[str], on_hint: Callable[[], None]) -> None:
    """Pass on what inotify says, for as long as it works. Raises OSError and the like where it does not."""
    if not directories:
        await asyncio.Event().wait()
    from watchfiles import awatch  # late: `check` and `schema` do without it

    stop = asyncio.Event()
    try:
        changes = awatch(
            *directories, watch_filter=None, step=_STEP_MS, debounce=2 * _STEP_MS, stop_event=stop, recursive=True
        )
        async for _ in changes:
            on_hint()
            await asyncio.sleep(_PAUSE_SECONDS)
    finally:
        # Its thread ends by this event alone, not by cancelling the task.
        stop.set()


async def _stop(watcher: asyncio.Task[None] | None) -> None:
    if watcher is not None:
        await ended(watcher)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended: once may not do.

    A cancel scope (anyio's, which awatch works in) that ends just then takes the cancellation for its own.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCELLED_AGAIN_SECONDS)


def _reason(watcher: asyncio.Task[None]) -> str:
    error = None if watcher.cancelled() else watcher.exception()
    return str(error) if error is not None else "it stopped"


def _identity(directory: str) -> _Identity:
    try:
        status = os.stat(directory)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _existing(directories: Sequence[str]) -> list[str]:
    return [directory for directory in directories if os.path.isdir(directory)]

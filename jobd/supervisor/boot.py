"""Starts and ends the daemon. The order is the argument for its safety; each step says what it may rely on."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from jobd import __version__
from jobd.control import app, listen, reception
from jobd.core import due
from jobd.core.errors import JobdError
from jobd.core.names import counted
from jobd.core.sources import Reading
from jobd.core.states import Outcome
from jobd.core.tracing import Tracer
from jobd.definitions import watch
from jobd.definitions.cache import Cache, fingerprint
from jobd.definitions.library import Library
from jobd.observe.journal import Journal
from jobd.observe.metrics import Metrics
from jobd.observe.scrape import Scrape
from jobd.observe.sd_notify import watchdog_interval
from jobd.observe.sentences import Priority
from jobd.store import jobs, recovery, traces, versions
from jobd.store.open import open_store
from jobd.supervisor import catalogs, channels, recover, zonefiles
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.bell import Bell
from jobd.supervisor.catalogs import Host
from jobd.supervisor.clock import Clock, host_zone, telling_of_sets
from jobd.supervisor.desk import Desk
from jobd.supervisor.drain import Drain
from jobd.supervisor.engine import Engine
from jobd.supervisor.keeper import Keeper
from jobd.supervisor.outlets import Outlets
from jobd.supervisor.quarantine import Quarantine
from jobd.supervisor.reread import of_pool
from jobd.supervisor.reserve import Reservation
from jobd.supervisor.settings import Settings, Tracing
from jobd.supervisor.tick import Rules
from jobd.supervisor.tracing import Spans
from jobd.supervisor.zonewatch import ZoneWatch
from jobd.work.accounts import own_account
from jobd.work.hiring import ForkServer
from jobd.work.identity import boot_id
from jobd.work.pool import Pool

_UPKEEP_SECONDS = 1.0


_SOFTWARE_FAULT = 70
"""sysexits(3): what systemd restarts, and what is no fault of settings."""


def end_on_fault(journal: Journal) -> None:
    """Let a failure that nobody foresaw end the daemon: workers go on, and the next one takes up what is left.

    A tick that half happened in memory is worse than a restart, which the store and the workers survive by design.
    """

    def fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        if "handle" in context:
            journal.note(f"jobd ends on an unforeseen failure: {context.get('exception')!r}", Priority.ERROR)
            os._exit(_SOFTWARE_FAULT)

    asyncio.get_running_loop().set_exception_handler(fault)


async def serve(
    settings: Settings,
    reread: Callable[[], Settings],
    forkserver: ForkServer,
    journal: Journal,
    sockets: dict[str, int],
) -> None:
    """Run the daemon until it is told to end.

    `reread` gives the settings as their file says them by then, `sockets` the descriptors that systemd handed over, by
    name.

    Raises JobdError where it cannot start; nothing is half started then.
    """
    end_on_fault(journal)
    writer, history = open_store(settings.database, synchronous=settings.synchronous)
    keeper = Keeper(settings, writer, history, journal, reread)
    desk = Desk(keeper)
    keeper.metrics = Metrics(__version__, keeper.started_at, desk.figures)
    keeper.outlets = Outlets(settings.sinks, keeper.metrics, keeper.degrade)
    keeper.pool = _pool(keeper, forkserver)
    keeper.engine = _engine(keeper)
    if settings.tracing is not None:
        _trace(keeper, settings.tracing)
    keeper.pool.open()
    with _no_blame_for_ending(keeper):
        _recover(keeper)
        zone_watch = _load(keeper)
    scrape = Scrape(keeper.metrics.render, lambda: list(keeper.degraded))
    listening = _listening(keeper, sockets)
    try:
        if settings.metrics_listen is not None:
            keeper.metrics_address = await scrape.start(*settings.metrics_listen)
        door = await reception.receive(listening, app.build(desk), roles=lambda: keeper.roles)
        await _work(keeper, zone_watch)
        await door.close()
        journal.note("jobd has ended")
    finally:
        listening.close()
        await scrape.close()
        _close(keeper)
        keeper.outlets.close()
        if keeper.spans is not None:
            keeper.spans.close()


def _pool(keeper: Keeper, forkserver: ForkServer) -> Pool:
    return Pool(
        forkserver,
        of_pool(keeper.settings),
        on_report=keeper.report,
        on_started=lambda *news: keeper.engine.inbox.started(*news),  # noqa: PLW0108 - the engine comes after the pool
        on_degraded=keeper.degrade,
        on_room=lambda: keeper.engine.room_made(),  # noqa: PLW0108
        on_progress=keeper.note_progress,
    )


def _engine(keeper: Keeper) -> Engine:
    settings = keeper.settings
    rules = Rules(
        _reservation(settings),
        Host(host_zone(), boot_id()),
        settings.max_queued_per_user,
        quarantine=Quarantine(os.path.join(settings.runtime_dir, "underway")),
    )
    rules.bell = Bell(socket.gethostname(), keeper.tail, keeper.template)
    return Engine(keeper.writer, rules, keeper.pool, keeper.publish, Clock())


def _trace(keeper: Keeper, settings: Tracing) -> None:
    """Record spans from now on. What ails the collector makes nobody else ill: it is a warning."""
    with keeper.writer.transaction(datetime.now(UTC)) as tx:
        tracer = Tracer(traces.seed(tx), settings.sample)
    keeper.engine.rules.reservation.tracer = tracer
    keeper.spans = Spans(settings, tracer, keeper.history, keeper.metrics.count_sink, keeper.warn_of_tracing)


def _reservation(settings: Settings) -> Reservation:
    return Reservation(settings.queues, settings.rates, settings.resources)


def _recover(keeper: Keeper) -> None:
    """Judge what was under way before anything new is reserved."""
    clock = Clock().read()
    with keeper.writer.transaction(clock.wall) as tx:
        known = Reading(*recovery.clock_of(tx, boot_id(), clock.wall, clock.boottime))
        stepped = due.step(known.wall, known.boottime, clock.wall, clock.boottime)
        left = recover.look(tx, keeper.engine.rules.specs, stepped)
    keeper.engine.go_on_from(known)
    judged = recover.judge(left, keeper.pool, clock.wall)
    for finished in judged.reports:
        keeper.report(finished)
    for event in judged.told:
        keeper.publish(event)
    for key in judged.cancelling:
        keeper.pool.stop(key, Outcome.CANCELLED)


def _load(keeper: Keeper) -> ZoneWatch:
    """Put the definitions in force that are there now, held against those that were in force last."""
    settings, rules = keeper.settings, keeper.engine.rules
    _blame(keeper)
    zone_watch = ZoneWatch(keeper, zonefiles.versions(rules.host.zone))
    cache = _cache(settings, zone_watch.versions)
    keeper.library = Library(settings.jobs_dirs, settings.rules, guard=rules.quarantine, cache=cache)
    catalog = keeper.library.load()
    with keeper.writer.transaction(datetime.now(UTC)) as tx:
        stored = jobs.in_force(tx)
        catalog = keeper.library.remember(catalogs.last_good(catalog, stored))
        change = catalogs.adopt(tx, catalog, {}, rules.host, stored=stored, quarantine=rules.quarantine)
        after = Aftermath()
        rules.bell.lines = channels.put_in_force(tx, settings.channels, after)
        worked_out_by = versions.known(tx)
        versions.note(tx, zone_watch.versions)
    rules.quarantine.clear()
    rules.put_in_force(change.in_force)
    for name, at in change.next_slots:
        keeper.engine.agenda.set(name, at)
    keeper.engine.judge_all()
    for event in after.events:
        keeper.publish(event)
    keeper.tell(change)
    zone_watch.begin(change, worked_out_by)
    return zone_watch


def _cache(settings: Settings, releases: Mapping[str, str]) -> Cache | None:
    key = fingerprint(settings.rules, __version__, *releases.values())
    return None if key is None else Cache(os.path.join(settings.state_dir, "definitions.cache"), key)


@contextlib.contextmanager
def _no_blame_for_ending(keeper: Keeper) -> Iterator[None]:
    """A start that is called off, or refused with a reason, is no death: no definition is at fault."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    except (SystemExit, KeyboardInterrupt, JobdError):
        keeper.engine.rules.quarantine.clear()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _blame(keeper: Keeper) -> None:
    """Find out what the last jobd died of, before anything is tried that may end this one too."""
    now = datetime.now(UTC)
    with keeper.writer.transaction(now) as tx:
        step = keeper.engine.rules.quarantine.judge(tx, now, __version__)
    if step is not None:
        keeper.journal.note(f"The last jobd died while {step.said} ({step.name})", Priority.ERROR)


def _listening(keeper: Keeper, sockets: dict[str, int]) -> listen.Listening:
    handed = sockets.get("control")
    if handed is not None:
        return listen.adopt(handed)
    settings = keeper.settings
    return listen.bind(settings.socket, mode=settings.socket_mode, gid=keeper.socket_gid)


async def _work(keeper: Keeper, zone_watch: ZoneWatch) -> None:
    """Serve until the drain is over."""
    drain = Drain(keeper)
    drain.listen()
    keeper.drain = drain.end
    background = [asyncio.create_task(one) for one in (keeper.watch(), zone_watch.follow(), _upkeep(keeper))]
    keeper.systemd.ready(keeper.status_line())
    where = f", metrics on http://{keeper.metrics_address}/metrics" if keeper.metrics_address else ""
    keeper.journal.note(
        f"jobd {__version__} serves {keeper.settings.socket}, "
        f"{counted(len(keeper.engine.rules.in_force), 'job')} in force{where}"
    )
    if os.geteuid() != 0:
        own = own_account().name
        keeper.journal.note(f"Not root: every job runs as {own}, and one that names another user or group is refused")
    keeper.engine.wake()
    keeper.writer.release_memory()
    _settle_memory()
    remembering = asyncio.create_task(keeper.remember_definitions())
    ending = asyncio.create_task(drain.done())
    try:
        # What goes on in the background never ends by itself: when a part does, its failure ends the daemon.
        with telling_of_sets(asyncio.get_running_loop(), keeper.engine.wake):
            await asyncio.wait([ending, *background], return_when=asyncio.FIRST_COMPLETED)
        for task in background:
            if task.done():
                task.result()
        await ending
    finally:
        for task in (*background, remembering):
            await watch.ended(task)


def _settle_memory() -> None:
    """Give back what only starting needed, and never look at what stays for good again when garbage is collected."""
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such call
        ctypes.CDLL(None).malloc_trim(0)


async def _upkeep(keeper: Keeper) -> None:
    """Checkpoint, prune, and tell systemd that the ticks and the store are alive as often as it wants to hear it."""
    interval = watchdog_interval()
    pause = min(_UPKEEP_SECONDS, interval / 2) if interval else _UPKEEP_SECONDS
    while True:
        await asyncio.sleep(pause)
        keeper.checkpoint()
        keeper.prune()
        if keeper.engine.inbox.children:
            # The start of an attempt wakes nobody; of one that lasts, the store should know the process.
            keeper.engine.wake()
        if interval and keeper.is_alive():
            keeper.systemd.alive()


def _close(keeper: Keeper) -> None:
    keeper.engine.close()
    with contextlib.suppress(JobdError):
        keeper.writer.checkpoint(truncate=True)
    keeper.history.close()
    keeper.writer.close()
    keeper.systemd.close()

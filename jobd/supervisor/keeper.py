"""Holds the parts of a running daemon together: who tells whom of what, and what is kept up beside the ticks."""

from __future__ import annotations

import asyncio
import grp
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from jobd.core import events
from jobd.core.events import Event
from jobd.core.intents import Noted
from jobd.core.masking import Masker
from jobd.core.model import AttemptKey, Ending, Finished, Job
from jobd.core.names import counted
from jobd.core.retention import Pruned
from jobd.definitions.catalog import Catalog
from jobd.definitions.library import Library
from jobd.definitions.problems import Problem
from jobd.definitions.watch import follow
from jobd.observe.journal import Journal
from jobd.observe.metrics import Metrics
from jobd.observe.recent import Recent
from jobd.observe.sd_notify import Systemd
from jobd.observe.sentences import Priority
from jobd.store.connection import StorageFailed, Writer
from jobd.store.history import History
from jobd.store.recovery import LeftAttempt
from jobd.supervisor import channels, roles, tails
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.allowance import Allowance
from jobd.supervisor.catalogs import AdoptCatalog, Change, InForce
from jobd.supervisor.denials import Denials
from jobd.supervisor.engine import Engine
from jobd.supervisor.inbox import Question
from jobd.supervisor.outlets import Outlets
from jobd.supervisor.prune import Pruner
from jobd.supervisor.reread import SettingsFile, stays
from jobd.supervisor.resettle import Resettled
from jobd.supervisor.secrets import SecretsOfRuns
from jobd.supervisor.settings import Settings
from jobd.supervisor.tracing import Spans
from jobd.work import manager
from jobd.work.output import OutputFiles
from jobd.work.pool import Pool

_CHECKPOINT_SECONDS = 5.0
_WAL_TRUNCATED_AT = 64 * 1024 * 1024
_WAL_CHECKPOINTED_AT = 4 * 1024 * 1024
_TICK_LATE_SECONDS = 65.0
_SETTLE_SECONDS = 1.0
_PRUNE_PAUSE_SECONDS = 0.01
_TRACING = "tracing: "


class Keeper:
    """The parts; `engine` and `pool` are set while booting, before anything else uses them."""

    engine: Engine
    pool: Pool
    library: Library
    metrics: Metrics
    drain: Callable[[], None]
    """Begin to end, as at SIGTERM."""
    outlets: Outlets | None = None
    spans: Spans | None = None
    """None where tracing is not set."""

    def __init__(
        self,
        settings: Settings,
        writer: Writer,
        history: History,
        journal: Journal,
        reread: Callable[[], Settings],
    ) -> None:
        self.settings = settings
        self.settings_file = SettingsFile(self, reread)
        self.writer = writer
        self.history = history
        self.journal = journal
        self._secrets = SecretsOfRuns(settings.mask)
        journal.masked = self._secrets.masker.text
        self.systemd = Systemd()
        self.template: Job = settings.template()
        self.outputs = OutputFiles(os.path.join(settings.state_dir, "output"))
        self.started_at = self.last_reload_at = datetime.now(UTC)
        self.last_good_reload_at: datetime | None = None
        """When definitions were last read without a problem."""
        self.recent = Recent(self.started_at)
        self.degraded: dict[str, str] = {}
        self.metrics_address: str | None = None
        self.warnings: list[str] = []
        self.spoken: dict[int, tuple[float | None, str]] = {}
        """Run → how far its attempt under way says it is (0 to 1), and what it says it does."""
        self.socket_gid = self._gid(settings.socket_group, is_named=settings.socket_group_is_named)
        self.roles, self.unknown_holders = roles.resolve(settings.roles, self.socket_gid)
        """Who holds which role, and a warning for each name of jobd.yaml that is nobody's here."""
        self.pruner = Pruner(writer, self.outputs, settings.retention, self.now, self._is_running)
        self.denials = Denials(self._note)
        self._told = Catalog()
        self._adopting: set[asyncio.Task[Change]] = set()
        self._checkpointed_at = time.monotonic()

    @property
    def in_force(self) -> Mapping[str, InForce]:
        """The jobs in force; a change of the catalog makes another mapping, so that this one stays as it is."""
        return self.engine.rules.in_force

    @property
    def allowance(self) -> Allowance:
        """The limits of starting in force, and what is left of them."""
        return Allowance(self.engine.rules.reservation, self.history)

    def _gid(self, name: str | None, *, is_named: bool) -> int | None:
        if name is None or os.geteuid() != 0:
            return None
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            if is_named:
                self.warnings.append(f"control.group: there is no group {name}; only root and jobd's user may submit")
            return None

    # News

    def publish(self, event: Event) -> None:
        """Log and count what happened."""
        if isinstance(event, events.Degraded):
            if self.degraded.get(event.reason, "") == event.detail:
                return
            self._note_degraded(event)
        self.journal.take(event)
        self.metrics.take(event)
        self.recent.take(event)
        if self.outlets:
            self.outlets.take(event)
        if self.spans is not None:
            self.spans.take(event)

    def _note_degraded(self, event: events.Degraded) -> None:
        if event.detail:
            self.degraded[event.reason] = event.detail
        else:
            self.degraded.pop(event.reason, None)
        self.systemd.status(self.status_line())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with jobd.yaml and the definitions as they are now; what was in force before stays so."""
        return (*self.settings_file.problems, *self.library.catalog.problems)

    def look_for_secrets(self, keys: Iterable[str]) -> None:
        """Mask what such names are given from now on."""
        self._secrets.look_for(keys)
        self.journal.masked = self._secrets.masker.text

    def masker(self, run: int) -> Masker:
        """What takes the secrets of a run, and what looks like one, out of text."""
        return self._secrets.of(self.history.definition(run))

    def note_progress(self, key: AttemptKey, fraction: float | None, text: str) -> None:
        """Keep what an attempt says of itself as long as it runs; the report of its end has the last of it."""
        self.spoken[key.run] = (fraction, text)

    def tail(self, run: int, attempt: int, job: Job | None) -> str:
        """The end of what an attempt wrote, for people to be told of: without secrets, and with whole lines alone."""
        return tails.of(self.outputs, self._secrets.of(job), run, attempt)

    def report(self, finished: Finished) -> None:
        """Take in how an attempt ended; what its words and its command lines tell of secrets is kept nowhere."""
        self.spoken.pop(finished.key.run, None)
        ending = finished.ending
        reason = ending.directive.reason if ending.directive else ""
        if ending.error or ending.snapshot or ending.status_text or reason:
            finished = replace(finished, ending=self._masked(ending, self.masker(finished.key.run)))
        self.engine.inbox.report(finished)

    def _masked(self, ending: Ending, masker: Masker) -> Ending:
        return replace(
            ending,
            error=ending.error and masker.text(ending.error),
            snapshot=tuple(replace(one, command=masker.text(one.command)) for one in ending.snapshot),
            directive=ending.directive and replace(ending.directive, reason=masker.text(ending.directive.reason)),
            status_text=masker.text(ending.status_text) if ending.status_text else "",
        )

    def degrade(self, reason: str, detail: str) -> None:
        """A part of jobd is not well, or with an empty detail well again."""
        self.publish(events.Degraded(reason, datetime.now(UTC), detail))

    def warn_of_tracing(self, detail: str) -> None:
        """Spans are lost, or with an empty detail no more: nothing of jobd is worse for it, so it is a warning."""
        before = self.warnings
        self.warnings = [one for one in before if not one.startswith(_TRACING)]
        if detail:
            self.warnings.append(_TRACING + detail)
        if self.warnings != before:
            self.journal.note(
                _TRACING + (detail or "spans arrive again"), Priority.WARNING if detail else Priority.NOTICE
            )

    def status_line(self) -> str:
        """One line for `systemctl status`."""
        line = f"{counted(len(self.engine.rules.in_force), 'job')} in force"
        problems = len(self.library.catalog.problems)
        if problems:
            line += f", {counted(problems, 'problem')} in definitions"
        for reason, detail in self.degraded.items():
            line += f"; {reason}: {detail}"
        return line

    def _note(self, entry: Noted) -> None:
        """Take an entry into the audit trail with the next tick; nobody waits for it."""
        self.engine.inbox.ask(Question(entry, asyncio.get_running_loop().create_future()))

    # Definitions

    async def watch(self) -> None:
        """Put every change of the definitions in force as it comes, until cancelled."""
        await follow(
            self.library,
            self.settings.jobs_dirs,
            self._changed,
            lambda detail: self.degrade("definitions_watch", detail),
        )

    def _changed(self, catalog: Catalog) -> None:
        if catalog == self._told:
            return  # a reload that was asked for came first
        task = asyncio.ensure_future(self.adopt(catalog))
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    async def remember_definitions(self) -> None:
        """Let the next start know what this one read; everything else has its turn in between."""
        cache = self.library.let_go_of_cache()
        if cache is None or not cache.is_behind:
            return
        try:
            for _ in cache.write():
                await asyncio.sleep(0)
        except OSError as error:
            self.journal.note(f"what was read of definitions is not kept, the next start reads it anew: {error}")

    async def reload(self) -> tuple[Resettled, Change]:
        """Read jobd.yaml and every definition that changed, now, and put them in force."""
        self.systemd.reloading()
        try:
            resettled = await self.settings_file.take_in()
            return resettled, await self.adopt(await self._read())
        finally:
            self.systemd.ready(self.status_line())

    async def _read(self) -> Catalog:
        """The catalog of what is there, once files that are being written have settled or a second has passed.

        Everything else goes on meanwhile: no slot and no client waits for an editor.
        """
        give_up_at = time.monotonic() + _SETTLE_SECONDS
        catalog = self.library.rescan()
        while (wait := self.library.wait_seconds) is not None and time.monotonic() < give_up_at:
            await asyncio.sleep(wait + 0.001)
            catalog = self.library.rescan()
        return catalog

    async def adopt(self, catalog: Catalog) -> Change:
        """Put a catalog in force; answered when that is durable."""
        change: Change = await self.engine.adopt(AdoptCatalog(catalog))
        self.tell(change)
        return change

    def rewire(self, settings: Settings) -> None:
        """Let notifications go through these channels from now on; what waits for one that is gone is dropped."""
        after, rules = Aftermath(), self.engine.rules
        with self.writer.transaction(self.now()) as tx:
            lines = channels.put_in_force(tx, settings.channels, after)
        channels.publish(settings.channels, settings.runtime_dir)
        rules.bell.lines = lines
        self.engine.finished.tell(after.final)
        for event in after.events:
            self.publish(event)

    def tell(self, change: Change) -> None:
        """Say what a catalog changed."""
        now = datetime.now(UTC)
        self.last_reload_at, self._told = now, change.catalog
        problems = tuple(map(str, change.catalog.problems))
        if not self.problems:
            self.last_good_reload_at = now
        self.metrics.define([*change.in_force, *channels.jobs_of(self.engine.rules.bell.lines)])
        for one in change.in_force.values():
            self._secrets.learn(one.job)
        self.publish(events.CatalogChanged(now, change.added, change.changed, change.removed, problems))
        self.degrade("definitions", stays(change.catalog.problems))
        doubts = dict(change.catalog.degraded)
        for reason in [reason for reason in self.degraded if reason.startswith("definitions_")]:
            if reason not in doubts and reason != "definitions_watch":
                self.degrade(reason, "")
        for reason, detail in doubts.items():
            self.degrade(reason, detail)
        self.systemd.status(self.status_line())

    # Ending

    def now(self) -> datetime:
        return datetime.now(UTC)

    def is_restarting(self) -> bool:
        """Whether systemd ends this daemon only to start it again: then what runs is left for the next one."""
        unit = manager.own_unit()
        return unit is not None and manager.is_restart(unit)

    def stop_timeout_seconds(self) -> float | None:
        """How long systemd lets this daemon take to stop; None for as long as it likes."""
        unit = manager.own_unit()
        return None if unit is None else manager.stop_timeout(unit)

    def wish(self, left: LeftAttempt) -> str:
        """What the job of a running attempt wants when jobd ends (SEMANTICS, Shutdown)."""
        with self.writer.transaction(self.now()) as tx:
            job = self.engine.rules.specs.get(tx, left.spec)
        if job is not None and job.on_shutdown is not None:
            return job.on_shutdown
        return "wait" if left.trigger.is_scheduled else "requeue"

    # Upkeep

    def is_alive(self) -> bool:
        """Whether the ticks make progress: what the watchdog is told of.

        A store that hangs holds up the ticks and shows here. One that refuses (a full disk) does not: a restart would
        not cure it, and would end a daemon that can still say what is wrong.
        """
        return time.monotonic() - self.engine.last_tick_at < _TICK_LATE_SECONDS

    def _is_running(self, key: AttemptKey) -> bool:
        return any((view.run, view.attempt) == (key.run, key.attempt) for view in self.pool.views())

    def prune(self) -> None:
        """Let the history forget a little, where it is time."""
        # A store that cannot be written is told of where it matters; the next pass begins anew.
        with suppress(StorageFailed):
            self.pruner.step()

    async def prune_now(self) -> Pruned:
        """A whole pass, with the loop having its turn after each step. Raises StorageFailed."""
        done = Pruned()
        for _ in self.pruner.steps(done):
            await asyncio.sleep(_PRUNE_PAUSE_SECONDS)
        return done

    def checkpoint(self) -> None:
        """Keep the WAL short, apart from any commit."""
        size = os.stat(self.settings.database + "-wal").st_size
        due = time.monotonic() - self._checkpointed_at >= _CHECKPOINT_SECONDS
        if size == 0 or not (due or size >= _WAL_CHECKPOINTED_AT):
            return
        self._checkpointed_at = time.monotonic()
        try:
            self.writer.checkpoint(truncate=size >= _WAL_TRUNCATED_AT)
        except StorageFailed as error:
            self.degrade("checkpoint", str(error))
        else:
            self.degrade("checkpoint", "")

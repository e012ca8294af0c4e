"""The metrics of jobd: counted from events as they happen, read from figures when somebody asks, told as text."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from jobd.core.events import (
    AttemptFinished,
    AttemptRescued,
    AttemptStarted,
    CatalogChanged,
    ClockStepped,
    Event,
    RunAccepted,
    RunFinished,
    SlotDecided,
    StoreCommitted,
)
from jobd.core.names import ADHOC
from jobd.core.states import Disposition
from jobd.observe import declared, exposition, gauges
from jobd.observe.figures import Figures
from jobd.observe.series import OTHER, Count, Series, Spread

_RESCUES = ("adopted", "lost", "reported")


class Metrics:
    """Counts events, and renders everything for a scrape.

    Runs of jobs that are not defined (any more) are counted under `other`, ad-hoc runs under `adhoc`.
    """

    def __init__(self, version: str, started_at: datetime, figures: Callable[[], Figures]) -> None:
        self._figures, self._started_at = figures, started_at
        self._defined: set[str] = set()
        self._build = (version, platform.python_version())
        self._submitted = Series(declared.RUNS_SUBMITTED, Count)
        self._finished = Series(declared.RUNS_FINISHED, Count)
        self._attempts = Series(declared.ATTEMPTS, Count)
        self._retried = Series(declared.RUNS_RETRIED, Count)
        self._leftovers = Series(declared.LEFTOVERS, Count)
        self._slots = Series(declared.SLOTS, Count)
        self._rescued = Series(declared.RESCUED, Count)
        self._steps = Series(declared.CLOCK_STEPS, Count)
        self._sinks = Series(declared.SINK_EVENTS, Count)
        self._duration = Series(declared.RUN_DURATION, Spread)
        self._wait = Series(declared.RUN_WAIT, Spread)
        self._lag = Series(declared.SCHEDULER_LAG, Spread)
        self._commit = Series(declared.STORE_COMMIT, Spread)
        self._group = Series(declared.STORE_GROUP, Spread)
        self._begin_with_zero()

    def _begin_with_zero(self) -> None:
        """Show what is known to come, so that also the first of it is an increase to whoever looks for one."""
        for single in (self._leftovers, self._steps):
            single.of()
        for spread in (self._lag, self._commit, self._group):
            spread.of()
        for disposition in Disposition:
            self._slots.of(disposition.value)
        for how in _RESCUES:
            self._rescued.of(how)

    def define(self, names: Iterable[str]) -> None:
        """Say which jobs are defined now; the series of those that are not go away."""
        now = set(names)
        self._forget(self._defined - now)
        self._defined = now

    def count_sink(self, sink: str, result: str, events: int) -> None:
        """Count events that a sink has taken or failed at, or that were dropped because it was too slow."""
        self._sinks.of(sink, result).inc(events)

    def take(self, event: Event) -> None:
        """Count an event."""
        match event:
            case RunAccepted():
                self._submitted.of(event.queue).inc()
            case AttemptStarted():
                self._wait.of(event.queue).observe(event.waited_seconds)
            case AttemptFinished():
                self._attempts.of(self._name(event.job), event.queue, event.ending.outcome.value).inc()
                self._leftovers.of().inc(event.ending.usage.leftovers)
                if event.next_at is not None:
                    self._retried.of(event.queue).inc()
            case RunFinished():
                self._count_finished(event)
            case SlotDecided():
                self._slots.of(event.disposition.value).inc()
                if event.disposition is Disposition.STARTED:
                    self._lag.of().observe(event.lag_seconds)
            case AttemptRescued():
                self._rescued.of(event.how).inc()
            case StoreCommitted():
                self._commit.of().observe(event.seconds)
                self._group.of().observe(event.changes)
            case CatalogChanged():
                self._defined.update(event.added, event.changed)
                self._defined.difference_update(event.removed)
                self._forget(event.removed)
            case ClockStepped():
                self._steps.of().inc()
            case _:
                pass  # ailments are gauges and log entries

    def render(self, accept: str = "") -> tuple[Iterator[bytes], str]:
        """Everything as text, a metric at a time, and its content type.

        OpenMetrics for those who accept it, else Prometheus's own. Whoever goes through thousands of series may let
        others have a turn between two pieces.
        """
        is_open = "application/openmetrics-text" in accept.lower()
        return self._pieces(is_open=is_open), exposition.OPEN if is_open else exposition.TEXT

    def _pieces(self, *, is_open: bool) -> Iterator[bytes]:
        build = exposition.samples(declared.BUILD, [(self._build, 1)])
        yield (exposition.head(declared.BUILD, is_open=is_open) + build).encode()
        for counts in (
            self._submitted, self._finished, self._attempts, self._retried, self._leftovers, self._slots,
            self._rescued, self._steps, self._sinks,
        ):  # fmt: skip
            yield counts.text(is_open=is_open).encode()
        for spread in (self._duration, self._wait, self._lag, self._commit, self._group):
            yield spread.text(is_open=is_open).encode()
        for metric, numbers in gauges.read(self._figures(), self._started_at):
            yield (exposition.head(metric, is_open=is_open) + exposition.samples(metric, numbers)).encode()
        yield exposition.END if is_open else b""

    def _count_finished(self, event: RunFinished) -> None:
        outcome = event.outcome.value if event.outcome is not None else event.state.value
        self._finished.of(self._name(event.job), event.queue, outcome).inc()
        if event.outcome is not None:
            self._duration.of(event.queue).observe(event.duration_seconds)

    def _name(self, job: str) -> str:
        return job if job in self._defined or job == ADHOC else OTHER

    def _forget(self, jobs: Iterable[str]) -> None:
        for series in (self._finished, self._attempts):
            series.forget(jobs)

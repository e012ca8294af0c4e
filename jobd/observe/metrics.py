"""The metrics of jobd: counted from events as they happen, read from figures when somebody asks, told as text."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, Info, disable_created_metrics
from prometheus_client import exposition as text_format
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as open_format
from prometheus_client.registry import Collector

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
from jobd.core.states import Disposition
from jobd.observe.figures import Figures
from jobd.observe.gauges import Gauges
from jobd.observe.series import OTHER, counter, histogram

ADHOC = "adhoc"
_text: Callable[[Collector], bytes] = text_format.generate_latest
_open: Callable[[Collector], bytes] = open_format.generate_latest
_END = b"# EOF\n"
"""How OpenMetrics ends."""
_RUN_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
_LAG_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300)
_COMMIT_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
_GROUP_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True, slots=True)
class _Only(Collector):
    metric: Metric

    def collect(self) -> Iterable[Metric]:
        return (self.metric,)


class Metrics:
    """Counts events, and renders everything for a scrape.

    Runs of jobs that are not defined (any more) are counted under `other`, ad-hoc runs under `adhoc`.
    """

    def __init__(self, version: str, started_at: datetime, figures: Callable[[], Figures]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._defined: set[str] = set()
        self._registry = made = CollectorRegistry()
        Info("jobd_build", "What is running", registry=made).info(
            {"version": version, "python": platform.python_version()}
        )
        self._submitted = counter(made, "jobd_runs_submitted", "Runs accepted", "queue")
        self._finished = counter(made, "jobd_runs_finished", "Runs that are final", "job_name", "queue", "outcome")
        self._attempts = counter(made, "jobd_attempts", "Attempts that ended", "job_name", "queue", "outcome")
        self._retried = counter(made, "jobd_runs_retried", "Attempts followed by another one", "queue")
        self._leftovers = counter(
            made, "jobd_leftover_processes", "Processes that attempts left behind and that were ended"
        ).of()
        self._slots = counter(made, "jobd_slots", "Due slots by what became of them", "disposition")
        self._rescued = counter(made, "jobd_rescued_attempts", "Attempts that outlived a daemon", "how")
        self._steps = counter(made, "jobd_clock_steps", "Times the wall clock was set while jobd ran").of()
        self._sinks = counter(made, "jobd_sink_events", "Events for sinks by what became of them", "sink", "result")
        self._duration = histogram(made, "jobd_run_duration_seconds", "Run times", _RUN_SECONDS, "queue")
        self._wait = histogram(made, "jobd_run_wait_seconds", "Waits for a worker", _RUN_SECONDS, "queue")
        self._lag = histogram(made, "jobd_scheduler_lag_seconds", "Slots' delay after being due", _LAG_SECONDS).of()
        self._commit = histogram(made, "jobd_store_commit_seconds", "Time a commit takes", _COMMIT_SECONDS).of()
        self._group = histogram(made, "jobd_store_group_size", "Changes in one commit", _GROUP_SIZES).of()
        made.register(Gauges(figures, started_at))

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
                self._leftovers.inc(event.ending.usage.leftovers)
                if event.next_at is not None:
                    self._retried.of(event.queue).inc()
            case RunFinished():
                self._count_finished(event)
            case SlotDecided():
                self._slots.of(event.disposition.value).inc()
                if event.disposition is Disposition.STARTED:
                    self._lag.observe(event.lag_seconds)
            case AttemptRescued():
                self._rescued.of(event.how).inc()
            case StoreCommitted():
                self._commit.observe(event.seconds)
                self._group.observe(event.changes)
            case CatalogChanged():
                self._defined.update(event.added, event.changed)
                self._defined.difference_update(event.removed)
                self._forget(event.removed)
            case ClockStepped():
                self._steps.inc()
            case _:
                pass  # ailments are gauges and log entries

    def render(self, accept: str = "") -> tuple[Iterator[bytes], str]:
        """Everything as text, a metric at a time, and its content type.

        OpenMetrics for those who accept it, else Prometheus's own. Whoever goes through thousands of series may let
        others have a turn between two pieces.
        """
        if "application/openmetrics-text" in accept.lower():
            return self._pieces(_open, _END), open_format.CONTENT_TYPE_LATEST
        return self._pieces(_text, b""), "text/plain; version=0.0.4; charset=utf-8"

    def _pieces(self, text: Callable[[Collector], bytes], end: bytes) -> Iterator[bytes]:
        for metric in self._registry.collect():
            yield text(_Only(metric)).removesuffix(end)
        yield end

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

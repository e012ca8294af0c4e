"""The metrics that are read when somebody asks: what is so now, from figures handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from jobd.core.names import is_name
from jobd.core.states import WAITING, RunState
from jobd.observe.figures import Figures, JobFigures
from jobd.observe.series import MOST_SERIES

_JOB_GAUGES = (
    ("last_success_timestamp_seconds", "When a run of the job last succeeded"),
    ("last_failure_timestamp_seconds", "When a run of the job last failed for good"),
    ("next_run_timestamp_seconds", "When the job is next due"),
    ("last_run_exit_code", "Exit code of the job's last finished run"),
    ("running", "Runs of the job that execute now"),
    ("paused", "Whether the job is paused"),
)
_DEPTH = sorted((*WAITING, RunState.RUNNING))
Value = TypeVar("Value")


class Gauges(Collector):
    """Asks for the figures once for each scrape. Of more jobs or queues than fit, the first by name are shown."""

    def __init__(self, figures: Callable[[], Figures], started_at: datetime) -> None:
        self._figures = figures
        self._started_at = started_at

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: the figures are not there yet when the metrics are registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        figures = self._figures()
        yield _gauge("jobd_start_time_seconds", "When this jobd was started", _stamp(self._started_at))
        yield from _definitions(figures)
        yield from _queues(figures)
        yield from _jobs(figures)
        workers = GaugeMetricFamily("jobd_workers", "Workers by what they do", labels=["state"])
        for state, number in sorted(figures.workers.items()):
            workers.add_metric([state], number)
        yield workers
        yield _gauge("jobd_store_size_bytes", "Size of the database file", figures.store_bytes)
        yield _gauge("jobd_store_wal_bytes", "Size of the database's write-ahead log", figures.wal_bytes)


def _definitions(figures: Figures) -> Iterator[Metric]:
    yield _gauge(
        "jobd_config_last_reload_successful", "Whether the last reload had no problem", int(figures.last_reload_ok)
    )
    if figures.last_reload_at is not None:
        text = "When definitions were last read"
        name = "jobd_config_last_reload_success_timestamp_seconds"
        yield _gauge(name, text, _stamp(figures.last_reload_at))
    yield _gauge("jobd_definition_errors", "Problems of definitions not in force", figures.definition_errors)
    jobs = GaugeMetricFamily("jobd_jobs", "Defined jobs", labels=["state"])
    enabled = sum(job.enabled for job in figures.jobs.values())
    jobs.add_metric(["enabled"], enabled)
    jobs.add_metric(["disabled"], len(figures.jobs) - enabled)
    yield jobs


def _queues(figures: Figures) -> Iterator[Metric]:
    depth = GaugeMetricFamily("jobd_queue_depth", "Runs that wait or execute", labels=["queue", "state"])
    oldest = GaugeMetricFamily("jobd_queue_oldest_seconds", "Age of the longest waiting run", labels=["queue"])
    dead = GaugeMetricFamily("jobd_dead_letters", "Runs that failed for good and wait for somebody", labels=["queue"])
    limit = GaugeMetricFamily("jobd_queue_limit", "Runs that may execute at once", labels=["queue"])
    tokens = GaugeMetricFamily("jobd_rate_limit_tokens", "Runs that the rate limit lets start now", labels=["queue"])
    for name, lane in _first(figures.queues.items(), MOST_SERIES // len(_DEPTH)):
        counts = lane.figures.counts if lane.figures else {}
        for state in _DEPTH:
            depth.add_metric([name, state.value], counts.get(state, 0))
        since = lane.figures.oldest_waiting_at if lane.figures else None
        age = 0.0 if since is None else max(0.0, (figures.now - since).total_seconds())
        oldest.add_metric([name], age)
        dead.add_metric([name], lane.figures.dead_letters if lane.figures else 0)
        if lane.limits.max_running is not None:
            limit.add_metric([name], lane.limits.max_running)
        if lane.use is not None:
            tokens.add_metric([name], lane.use.held.tokens)
    yield from (depth, oldest, dead, limit, tokens)


def _jobs(figures: Figures) -> Iterator[Metric]:
    shown = list(_first(figures.jobs.items(), MOST_SERIES))
    families = [GaugeMetricFamily(f"jobd_job_{name}", text, labels=["job_name"]) for name, text in _JOB_GAUGES]
    for job, found in shown:
        for family, number in zip(families, _numbers(found), strict=True):
            if number is not None:
                family.add_metric([job], number)
    yield from families
    yield _lateness(shown)


def _lateness(jobs: Iterable[tuple[str, JobFigures]]) -> Metric:
    """One series for each check that a job asks for: 1 while it fails."""
    family = GaugeMetricFamily("jobd_job_late", "Whether the job is late", labels=["job_name", "check"])
    for name, job in jobs:
        failing = {one.check for one in job.standing.late} if job.standing else set()
        for check in job.checks:
            family.add_metric([name, check.value], int(check in failing))
    return family


def _numbers(job: JobFigures) -> tuple[float | None, ...]:
    """The values of `_JOB_GAUGES` for one job, in that order; None where there is nothing to tell."""
    had = job.standing
    if had is None:
        return None, None, _stamp(job.next_at), None, 0, 0
    return (
        _stamp(had.last_success_at),
        _stamp(had.last_failure_at),
        _stamp(job.next_at),
        had.last_exit_code,
        had.running,
        int(had.pause is not None),
    )


def _first(items: Iterable[tuple[str, Value]], most: int) -> Iterator[tuple[str, Value]]:
    return islice(((name, value) for name, value in sorted(items, key=lambda item: item[0]) if is_name(name)), most)


def _gauge(name: str, text: str, value: float | None) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _stamp(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()

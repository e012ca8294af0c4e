"""The metrics that are read when somebody asks: what is so now, from figures handed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TypeVar

from jobd.core.names import is_name
from jobd.core.states import WAITING, RunState
from jobd.observe import declared
from jobd.observe.declared import Metric
from jobd.observe.figures import Figures, JobFigures, Lane
from jobd.observe.series import MOST_SERIES

_DEPTH = sorted((*WAITING, RunState.RUNNING))
_OF_JOBS = (
    declared.JOB_SUCCESS,
    declared.JOB_FAILURE,
    declared.JOB_NEXT,
    declared.JOB_EXIT_CODE,
    declared.JOB_RUNNING,
    declared.JOB_PAUSED,
)
Value = TypeVar("Value")
Samples = list[tuple[tuple[str, ...], float | None]]
"""(label values, number); None where there is nothing to tell."""
_NO_LABELS = ()


def read(figures: Figures, started_at: datetime) -> Iterator[tuple[Metric, Samples]]:
    """Every gauge with its samples. Of more jobs or queues than fit, the first by name are shown."""
    yield _one(declared.START_TIME, started_at.timestamp())
    yield from _definitions(figures)
    yield from _queues(figures)
    yield from _jobs(figures)
    yield declared.WORKERS, [((state,), number) for state, number in sorted(figures.workers.items())]
    yield _one(declared.STORE_SIZE, figures.store_bytes)
    yield _one(declared.STORE_WAL, figures.wal_bytes)
    yield _one(declared.DISK_FREE, figures.disk_free_bytes)
    yield _one(declared.DISK_SIZE, figures.disk_bytes)


def _definitions(figures: Figures) -> Iterator[tuple[Metric, Samples]]:
    yield _one(declared.RELOAD_OK, int(figures.last_reload_ok))
    yield _one(declared.RELOAD_AT, _stamp(figures.last_good_reload_at))
    yield _one(declared.DEFINITION_ERRORS, figures.definition_errors)
    yield declared.JOBS, [(("enabled",), figures.enabled), (("disabled",), figures.disabled)]


def _queues(figures: Figures) -> Iterator[tuple[Metric, Samples]]:
    lanes = list(_first(figures.queues.items(), MOST_SERIES // len(_DEPTH)))
    yield declared.QUEUE_DEPTH, [((name, state.value), _depth(lane, state)) for name, lane in lanes for state in _DEPTH]
    yield declared.QUEUE_OLDEST, [((name,), _age(lane, figures.now)) for name, lane in lanes]
    yield declared.DEAD_LETTERS, [((name,), lane.figures.dead_letters if lane.figures else 0) for name, lane in lanes]
    yield declared.QUEUE_LIMIT, [((name,), lane.limits.max_running) for name, lane in lanes]
    yield declared.RATE_TOKENS, [((name,), lane.use.held.tokens if lane.use else None) for name, lane in lanes]


def _depth(lane: Lane, state: RunState) -> int:
    return lane.figures.counts.get(state, 0) if lane.figures else 0


def _age(lane: Lane, now: datetime) -> float:
    since = lane.figures.oldest_waiting_at if lane.figures else None
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _jobs(figures: Figures) -> Iterator[tuple[Metric, Samples]]:
    shown = list(_first(figures.jobs.items(), MOST_SERIES))
    names = [(name,) for name, _ in shown]
    columns = zip(*(_numbers(job) for _, job in shown), strict=True) if shown else [()] * len(_OF_JOBS)
    for metric, column in zip(_OF_JOBS, columns, strict=True):
        yield metric, list(zip(names, column, strict=True))
    yield declared.JOB_LATE, list(islice(_lateness(shown), MOST_SERIES))


def _lateness(jobs: Iterable[tuple[str, JobFigures]]) -> Iterator[tuple[tuple[str, ...], float]]:
    """One sample for each check that a job asks for: 1 while it fails."""
    for name, job in jobs:
        failing = {one.check for one in job.standing.late} if job.checks and job.standing else set()
        for check in job.checks:
            yield (name, check.value), int(check in failing)


def _numbers(job: JobFigures) -> tuple[float | None, ...]:
    """The values of `_OF_JOBS` for one job, in that order."""
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


def _one(metric: Metric, number: float | None) -> tuple[Metric, Samples]:
    return metric, [(_NO_LABELS, number)]


def _stamp(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()

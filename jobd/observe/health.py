"""The health report: settings, queues and their last 24 hours, from figures alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobd.core.buckets import Rate
from jobd.core.errors import NotFound
from jobd.core.model import Job
from jobd.core.names import closest
from jobd.core.records import QueueFigures
from jobd.core.retry import default_max_attempts
from jobd.core.spans import rfc3339
from jobd.core.states import WAITING, RunState, Trigger
from jobd.observe.figures import Figures, Lane


def configuration(defaults: Job, rates: Mapping[str, Rate], workers_max: int) -> dict[str, Any]:
    """The settings by which queued runs are executed, as far as neither their job nor their submit says otherwise."""
    retry = defaults.retry
    return {
        "retry_strategy": retry.strategy,
        "retry_base": retry.base_seconds,
        "retry_multiplier": retry.multiplier,
        "retry_max": default_max_attempts(defaults, Trigger.SUBMIT),
        "retry_max_delay": retry.max_delay_seconds,
        "job_timeout": defaults.timeout_seconds,
        "dead_letter_queue": defaults.dead_letter,
        "rate_limits": {name: rate.words for name, rate in sorted(rates.items())},
        "workers_max": workers_max,
    }


def report(figures: Figures, config: Mapping[str, Any], queue: str | None = None) -> dict[str, Any]:
    """The report on one queue, or on all of them.

    `config` are the settings a watcher wants to see beside the figures. A failed job does not make jobd ill. Raises
    NotFound for a queue that is not declared and holds nothing.
    """
    if queue is not None and queue not in figures.queues:
        near = closest(queue, figures.queues)
        raise NotFound(f'there is no queue "{queue}"' + (f' (did you mean "{near}"?)' if near else ""))
    shown = figures.queues if queue is None else {queue: figures.queues[queue]}
    return {
        "healthy": not figures.degraded,
        "at": rfc3339(figures.now),
        "degraded": [{"reason": reason, "detail": detail} for reason, detail in figures.degraded],
        "configuration": dict(config),
        "config": dict(config),  # its first name, which readers may still go by
        "queues": {name: _lane(lane, figures) for name, lane in sorted(shown.items())},
    }


def _lane(lane: Lane, figures: Figures) -> dict[str, Any]:
    found = lane.figures
    counts: Mapping[RunState, int] = found.counts if found else {}
    oldest = found.oldest_waiting_at if found else None
    return {
        "config": lane.limits.words,
        "status": {
            "pending": sum(counts.get(state, 0) for state in WAITING),
            "processing": counts.get(RunState.RUNNING, 0),
            "completed": counts.get(RunState.SUCCEEDED, 0),
            "failed": counts.get(RunState.FAILED, 0),
        },
        "oldest_waiting_seconds": None if oldest is None else max(0.0, (figures.now - oldest).total_seconds()),
        "rate_limit": lane.use.words if lane.use else None,
        "dead_letters": found.dead_letters if found else 0,
        "last_24h": _day(found),
    }


def _day(found: QueueFigures | None) -> dict[str, Any]:
    """What ended in 24 hours; rates are parts of one, and null where nothing was executed."""
    executions, succeeded = (found.executions_24h, found.succeeded_24h) if found else (0, 0)
    failed, average = (found.failed_24h, found.average_seconds_24h) if found else (0, None)
    return {
        "executions": executions,
        "success_rate": round(succeeded / executions, 4) if executions else None,
        "failure_rate": round(failed / executions, 4) if executions else None,
        "avg_duration_seconds": average,
        "succeeded": succeeded,
        "failed": failed,
        "average_seconds": average,
    }

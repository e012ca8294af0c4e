"""The health report: settings, queues and their last 24 hours, from figures alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobd.core.errors import NotFound
from jobd.core.names import closest
from jobd.core.spans import rfc3339
from jobd.core.states import WAITING, RunState
from jobd.observe.figures import Figures, Lane


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
        "config": dict(config),
        "queues": {name: _lane(lane, figures) for name, lane in sorted(shown.items())},
    }


def _lane(lane: Lane, figures: Figures) -> dict[str, Any]:
    found = lane.figures
    counts: Mapping[RunState, int] = found.counts if found else {}
    oldest = found.oldest_waiting_at if found else None
    return {
        "config": {"max_running": lane.max_running, "rate_limit": lane.rate_limit},
        "status": {
            "pending": sum(counts.get(state, 0) for state in WAITING),
            "processing": counts.get(RunState.RUNNING, 0),
            "completed": counts.get(RunState.SUCCEEDED, 0),
            "failed": counts.get(RunState.FAILED, 0),
        },
        "oldest_waiting_seconds": None if oldest is None else max(0.0, (figures.now - oldest).total_seconds()),
        "rate_limit": lane.rate_limit,
        "last_24h": {
            "executions": found.executions_24h if found else 0,
            "succeeded": found.succeeded_24h if found else 0,
            "failed": found.failed_24h if found else 0,
            "average_seconds": found.average_seconds_24h if found else None,
        },
    }

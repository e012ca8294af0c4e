"""What the live view shows at one moment, asked of the daemon with few and cheap questions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jobd.cli.bar import remaining
from jobd.cli.times import instant
from jobd.client import Client
from jobd.core.errors import JobdError, NotFound

_COMING_KEPT = timedelta(seconds=10)
_USUAL_KEPT = timedelta(minutes=1)
_FAILURES_KEPT = 50
_MOST_RUNS = 200
"""Runs under way that are asked for one by one."""


@dataclass(frozen=True, slots=True)
class Going:
    """A run under way."""

    run: dict[str, Any]
    elapsed_seconds: float
    usual_seconds: float | None
    """What its job usually takes; None where nobody knows."""
    left_seconds: float | None
    """For how long it may still go on: by what it says, else by what its job usually takes."""

    @property
    def fraction(self) -> tuple[float, bool] | None:
        """How far it is, and whether it says so itself; None where nobody knows."""
        if self.run.get("progress") is not None:
            return float(self.run["progress"]), True
        if self.usual_seconds:
            return min(0.99, self.elapsed_seconds / self.usual_seconds), False
        return None


@dataclass(frozen=True, slots=True)
class Look:
    now: datetime
    status: dict[str, Any] | None
    """As `GET /v1/status` tells it; None where nobody ever answered."""
    going: tuple[Going, ...] = ()
    coming: tuple[dict[str, Any], ...] = ()
    failures: tuple[dict[str, Any], ...] = ()
    """Runs that failed for good, the latest first: `{at, job, run, outcome, exit_code, reason}`."""
    fault: JobdError | None = None
    """Why the daemon did not answer this time: the rest is what it said last."""


class Watcher:
    """Looks again and again, and remembers between looks what need not be asked anew."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._usual: dict[str, tuple[float | None, datetime]] = {}
        self._coming: tuple[datetime, list[dict[str, Any]]] | None = None
        self._failures: deque[dict[str, Any]] = deque(maxlen=_FAILURES_KEPT)
        self._last_event: int | None = None
        self._before = Look(datetime.now(UTC), None)

    def look(self, now: datetime | None = None) -> Look:
        """What there is now. A daemon that does not answer is told, beside what was seen last."""
        now = now or datetime.now(UTC)
        try:
            status = self._get("/v1/status", jobs="0")
            made = Look(now, status, tuple(self._going(status, now)), tuple(self._due(now)), self._failed())
        except JobdError as error:
            self._last_event, self._coming = None, None
            before = self._before
            return Look(now, before.status, before.going, before.coming, before.failures, error)
        self._before = made
        return made

    def _get(self, path: str, **query: str | None) -> Any:
        return self._client.request("GET", path, query=query)

    def _going(self, status: dict[str, Any], now: datetime) -> Iterator[Going]:
        busy = [worker["run"] for worker in status["workers"]["items"] if worker["run"] is not None]
        for run in busy[:_MOST_RUNS]:
            with suppress(NotFound):  # forgotten since
                found = self._get(f"/v1/runs/{run}")
                if found["state"] == "running":
                    yield self._one(found, now)

    def _one(self, run: dict[str, Any], now: datetime) -> Going:
        began = instant(run["started_at"]) if run["started_at"] else now
        elapsed, usual = max(0.0, (now - began).total_seconds()), self._usually(run["job"], now)
        return Going(run, elapsed, usual, remaining(run, usual, now))

    def _usually(self, job: str, now: datetime) -> float | None:
        known = self._usual.get(job)
        if known is None or now - known[1] > _USUAL_KEPT:
            try:
                seconds = self._get("/v1/workload", job=job)["items"][0]["median_seconds"]
            except NotFound:
                seconds = None  # an ad-hoc command, or a job that is gone
            known = self._usual[job] = seconds, now
        return known[0]

    def _due(self, now: datetime) -> list[dict[str, Any]]:
        """The coming slots; with thousands of jobs they are dear, so they are asked for when one has passed."""
        kept = self._coming
        if kept is None or now - kept[0] > _COMING_KEPT or (kept[1] and instant(kept[1][0]["at"]) <= now):
            kept = self._coming = now, self._get("/v1/next", n="20")["items"]
        return kept[1]

    def _failed(self) -> tuple[dict[str, Any], ...]:
        if self._last_event is None:
            self._failures = deque(self._dead(), maxlen=_FAILURES_KEPT)
        known = {failure["run"] for failure in self._failures}
        for event in self._client.events(since=self._last_event or 0, follow=False, kind="run_finished"):
            self._last_event = max(self._last_event or 0, event["id"] or 0)
            if event.get("state") == "failed" and event["run"] not in known:
                self._failures.appendleft(event)
        self._last_event = self._last_event or 0
        return tuple(self._failures)

    def _dead(self) -> list[dict[str, Any]]:
        """The latest dead letters: what failed before the events that jobd still has."""
        found = self._get("/v1/dead-letters", limit=str(_FAILURES_KEPT))["items"]
        renamed = [
            {"at": one["dlq_timestamp"], "reason": one["dlq_reason"]}
            | {key: one[key] for key in ("run", "job", "outcome", "exit_code")}
            for one in found
        ]
        return sorted(renamed, key=lambda one: one["at"], reverse=True)

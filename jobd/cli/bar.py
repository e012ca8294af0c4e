"""One line on a terminal that tells, while somebody waits, how far a run is and how long it may still take."""

from __future__ import annotations

import shutil
import sys
from datetime import datetime
from typing import Any

from jobd.cli.render import progress, span
from jobd.cli.session import Session
from jobd.cli.terminal import safe_line
from jobd.cli.times import instant, lasted
from jobd.core.errors import JobdError

_ENOUGH = 0.02
"""Of the way, before what it took says anything of the rest."""


class Bar:
    """Drawn over itself on stderr, where that is a terminal; anywhere else it says nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.is_shown = sys.stderr.isatty() and not (session.is_quiet or session.wants_json)
        self._usual: dict[str, float | None] = {}

    def draw(self, run: dict[str, Any]) -> None:
        if self.is_shown:
            line = safe_line(told(run, self._usually(run["job"]), self._session.now))
            sys.stderr.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
            sys.stderr.flush()

    def clear(self) -> None:
        if self.is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _usually(self, job: str) -> float | None:
        """How many seconds runs of the job have taken, half of them; None where there were none."""
        if job not in self._usual:
            try:
                self._usual[job] = self._session.get("/v1/workload", job=job)["items"][0]["median_seconds"]
            except JobdError:
                self._usual[job] = None  # an ad-hoc command, or a job that is gone
        return self._usual[job]


def told(run: dict[str, Any], usual: float | None, now: datetime) -> str:
    """The line: how far, since when, and for how long still."""
    far = progress(run)
    since = f"for {span(run, now)}" if run["state"] == "running" else ""
    left = remaining(run, usual, now)
    parts = [f"run {run['id']} {run['state']}", since, far, "" if left is None else f"about {lasted(left)} left"]
    return " ".join(part for part in parts if part)


def remaining(run: dict[str, Any], usual: float | None, now: datetime) -> float | None:
    """The seconds a running run may still take: by how far it says it is, else by what its job usually takes."""
    if run["state"] != "running" or not run.get("started_at"):
        return None
    elapsed = max(0.0, (now - instant(run["started_at"])).total_seconds())
    fraction = run.get("progress")
    if fraction is not None and fraction >= _ENOUGH:
        return elapsed * (1.0 - float(fraction)) / float(fraction)
    return usual - elapsed if usual is not None and usual > elapsed else None

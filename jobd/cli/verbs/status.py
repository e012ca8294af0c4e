"""`status`: is jobd well, and how does every job stand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.render import compact, ending, fields, held, progress, when, word
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell
from jobd.cli.terminal import Tone
from jobd.cli.times import instant, lasted, told
from jobd.core.names import counted

_MOST_SHOWN = 10
_AT_A_GLANCE = 200
"""More than anybody reads, and no more than is there at once."""


@verb(example="jobd-ctl status\njobd-ctl status nightly-backup && echo 'the last backup is good'")
@click.argument("job", required=False, shell_complete=completing.jobs)
@click.option("--all", "every", is_flag=True, help="All jobs, however many there are.")
def status(session: Session, job: str | None, every: bool) -> Exit:
    """The daemon and every job at a glance.

    Of more than 200 jobs the first ones are shown, how many others there are, and how they stand.
    Exits with 0 when the daemon is well, with 1 when it is degraded. With JOB: with 1 when the job's last finished run
    failed.
    """
    if job is not None:
        return _one(session, job)
    seen = session.get("/v1/status", jobs="all" if every or session.wants_json else str(_AT_A_GLANCE))
    if session.wants_json:
        session.emit(seen)
    else:
        _show(session, seen)
    return Exit.OK if seen["healthy"] else Exit.FAILED


def _show(session: Session, seen: dict[str, Any]) -> None:
    session.say(_headline(seen))
    for entry in seen["degraded"]:
        session.paint(f"degraded: {entry['reason']}: {entry['detail']}", Tone.BAD)
    if seen["paused"]:
        session.paint(f"everything is {held(seen['paused'])} (jobd-ctl resume --all)", Tone.NOTE)
    for queue in seen["queues"]:
        if queue["paused"]:
            session.paint(f"queue {queue['name']} is {held(queue['paused'])}", Tone.NOTE)
    for problem in seen["problems"]:
        session.paint(f"problem: {problem}", Tone.NOTE)
    for job in seen["jobs"]:
        for late in job.get("late", ()):
            session.paint(f"late: {job['name']}: {late['detail']}", Tone.NOTE)
    session.say()
    if not seen["jobs"]:
        session.say("no jobs are defined (drop a YAML file into a jobs.d directory; see jobd-ctl check)")
        return
    job_table(session, seen["jobs"], instant(seen["now"]))
    if rest := seen["job_counts"]["total"] - len(seen["jobs"]):
        more = "1 more job" if rest == 1 else f"{rest:,} more jobs"
        session.say(f"and {more} (jobd-ctl status --all); of all: {_told(seen['job_counts'])}")


def _told(counts: dict[str, int]) -> str:
    words = {"failed": "failed last", "paused": "paused", "circuit_open": "with an open circuit", "late": "late"}
    return ", ".join(f"{counts[key]:,} {said}" for key, said in words.items())


def _headline(seen: dict[str, Any]) -> str:
    state = "draining" if seen["draining"] else "well" if seen["healthy"] else "degraded"
    workers = seen["workers"]
    parts = [
        f"jobd {seen['version']} is {state}",
        f"up {lasted(seen['uptime_seconds'])}",
        f"workers {workers['busy']} busy of {workers['max']}",
        f"time zone {seen['timezone']}",
    ]
    if (user := seen.get("runs_as", "root")) != "root":
        parts.append(f"everything runs as {user}")
    if seen.get("metrics_address"):
        parts.append(f"metrics http://{seen['metrics_address']}/metrics")
    return ", ".join(parts)


def job_table(session: Session, jobs: list[dict[str, Any]], now: datetime) -> None:
    """The jobs with how they last went and when they are next due."""
    rows: list[list[Cell | str]] = []
    for job in jobs:
        last = job.get("last")
        rows.append(
            [
                Cell(job["name"], Tone.PLAIN if job["enabled"] else Tone.DIM),
                ending(last) if last else word(None),
                when(last.get("finished_at"), now) if last else "-",
                _next(job, now),
                str(job["running"]),
                str(job["waiting"]),
            ]
        )
    session.table(columns("JOB LAST ENDED NEXT RUNNING WAITING", right=("RUNNING", "WAITING")), rows)


def _next(job: dict[str, Any], now: datetime) -> str:
    if not job["enabled"]:
        return "disabled"
    if job["paused"]:
        return f"paused until {told(job['paused']['until'], now)}" if job["paused"]["until"] else "paused"
    if job["circuit"] and job["circuit"]["open"]:
        return "circuit open"
    if job.get("next_at"):
        return told(job["next_at"], now)
    return "-" if job["schedule"] else "on request"


def _late(found: list[dict[str, Any]], now: datetime) -> str | None:
    return "; ".join(f"{one['detail']} (late since {told(one['since'], now)})" for one in found) or None


def _circuit(circuit: dict[str, Any] | None, now: datetime) -> str | None:
    if circuit is None:
        return None
    if circuit["open"]:
        return f"open, tries again {told(circuit['until'], now)}"
    return f"closed, {counted(circuit['failures'], 'failure')} in a row" if circuit["failures"] else "closed"


def _one(session: Session, name: str) -> Exit:
    job = session.get(f"/v1/jobs/{session.path(name)}")
    if session.wants_json:
        session.emit(job)
    else:
        for line in job_lines(session, job):
            session.say(line)
    last = job.get("last")
    return Exit.FAILED if last and last["state"] == "failed" else Exit.OK


def _progress(session: Session, job: dict[str, Any]) -> list[str]:
    """How far the job's running runs are, a line for each that says so."""
    if not job["running"]:
        return []
    found = session.listed("/v1/runs", _MOST_SHOWN, _MOST_SHOWN, job=job["name"], state="running")
    return [f"run {run['id']} {progress(run)}" for run in found if progress(run)]


def job_lines(session: Session, job: dict[str, Any]) -> list[str]:
    """Everything about one job, as `key  value` lines."""
    now, last = session.now, job.get("last")
    return fields(
        [
            ("job", job["name"]),
            ("description", job["description"]),
            ("enabled", job["enabled"]),
            ("defined in", f"{job['file']}:{job['line']}"),
            ("kind", job["kind"]),
            ("schedule", job["schedule"]),
            ("time zone", job["timezone"]),
            ("next", _next(job, now)),
            ("paused", held(job["paused"]) if job["paused"] else None),
            ("circuit", _circuit(job["circuit"], now)),
            ("late", _late(job.get("late", []), now)),
            *((key, ", ".join(names)) for key, names in job.get("workflow", {}).items()),
            ("queue", f"{job['queue']}, priority {job['priority']}"),
            ("max_running", job.get("max_running")),
            ("timeout", lasted(job["timeout"]) if job["timeout"] else "none"),
            ("user", job.get("user")),
            ("tags", ", ".join(job["tags"])),
            ("now", f"{job['running']} running, {job['waiting']} waiting"),
            ("progress", _progress(session, job)),
            (
                "last run",
                f"{last['run']} {ending(last).text}, {told(last.get('finished_at'), now)}" if last else "none",
            ),
            ("last success", told(job.get("last_success_at"), now)),
            ("last failure", told(job.get("last_failure_at"), now)),
            ("payload", compact(job.get("payload"))),
        ]
    )

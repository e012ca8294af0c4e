"""`simulate`: what the slots of some time would do to each other, given how long the jobs have taken so far."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell, filled
from jobd.cli.terminal import Tone, complain
from jobd.cli.times import clock, instant, lasted, moment
from jobd.core.names import counted
from jobd.core.spans import rfc3339, seconds

if TYPE_CHECKING:
    from jobd.cli.workload import Workload
    from jobd.core.forecast import Crowd, Forecast, Tally
    from jobd.definitions.problems import Problem

_SHOWN = 20


@verb(
    example="jobd-ctl simulate --to 7d\njobd-ctl simulate nightly-backup --from 2027-03-28 --to 2027-03-29 --p95\n"
    "jobd-ctl simulate --file jobs.d --default 5m"
)
@click.argument("jobs", metavar="[JOB]...", nargs=-1, shell_complete=completing.jobs)
@click.option("--from", "start", metavar="T", help="After this instant instead of now.")
@click.option("--to", "end", metavar="D|T", help="Up to this instant, or so long after the first (1d).")
@click.option("--file", "file", metavar="PATH", help="Of these definitions instead of the daemon's; needs no daemon.")
@click.option("--config", metavar="FILE", envvar="JOBD_CONFIG", help="The jobd.yaml that applies to --file.")
@click.option("--p95", "by_p95", is_flag=True, help="By what 95 of 100 runs do not exceed, instead of the median.")
@click.option("--default", "assumed", metavar="D", default="1m", help="How long a job takes that never ran (1m).")
def simulate(
    session: Session,
    jobs: tuple[str, ...],
    start: str | None,
    end: str | None,
    file: str | None,
    config: str | None,
    by_p95: bool,
    assumed: str,
) -> Exit:
    """Which runs would overlap, wait or be skipped, and how full the queues would become.

    All jobs are simulated together, by overlap, limits, priority and workers, each taking as long as its last
    successful runs did; with JOB only these are told of. Nothing is submitted, nothing fails, pauses are ignored.
    """
    first = _moment("--from", start, session.now) if start else session.now
    last = _moment("--to", end, first) if end else first + timedelta(days=1)
    if last <= first:
        raise click.UsageError("--to lies before --from")
    if file is not None and not os.path.exists(file):
        raise click.UsageError(f"there is no {file}")
    workload = _of_file(file, config, _span(assumed)) if file else _of_daemon(session, _span(assumed), by_p95=by_p95)
    if workload is None:
        return Exit.INVALID
    unknown = sorted(set(jobs) - {work.load.name for work in workload.works})
    if unknown:
        raise click.UsageError(f"{unknown[0]} is no enabled job with a schedule")
    shape = _forecast(workload, first, last, frozenset(jobs))
    if session.wants_json:
        session.emit(shape)
    else:
        _show(session, shape)
    return Exit.OK


def _moment(option: str, text: str, base: datetime) -> datetime:
    try:
        return moment(text, base)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _span(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--default") from None


def _of_daemon(session: Session, assumed: float, *, by_p95: bool) -> Workload:
    from jobd.cli.workload import from_daemon

    pages: list[dict[str, Any]] = []
    cursor = None
    while not pages or cursor is not None:
        pages.append(session.get("/v1/workload", cursor=cursor))
        cursor = pages[-1]["next_cursor"]
    return from_daemon(pages, assumed=assumed, by_p95=by_p95)


def _of_file(file: str, config: str | None, assumed: float) -> Workload | None:
    """The workload of definitions; None, with the problems told, where they have any."""
    from jobd.cli.workload import from_jobs
    from jobd.core.forecast import Limits
    from jobd.definitions.check import check
    from jobd.definitions.problems import Malformed
    from jobd.supervisor.clock import host_zone
    from jobd.supervisor.settings import load

    try:
        settings = load(config)
    except Malformed as malformed:
        _tell(malformed.problems)
        return None
    verdict = check([file], settings.rules)
    if verdict.problems:
        _tell(verdict.problems)
        return None
    found = [defined.job for defined in verdict.catalog.jobs.values()]
    return from_jobs(found, Limits(settings.queues, settings.workers_max), host_zone(), assumed=assumed)


def _tell(problems: Sequence[Problem]) -> None:
    for problem in problems:
        complain(str(problem))


def _forecast(workload: Workload, start: datetime, end: datetime, wanted: frozenset[str]) -> dict[str, Any]:
    from jobd.cli.workload import TooMany, slots
    from jobd.core.simulate import simulate as walk

    excluded: dict[str, int] = {}
    loads = [work.load for work in workload.works]
    try:
        found = walk(loads, slots(workload.works, start, end, excluded), end.timestamp(), workload.limits)
    except TooMany as error:
        raise click.UsageError(str(error)) from None
    took = {load.name: load.seconds for load in loads}
    assumed = sorted(work.load.name for work in workload.works if work.is_assumed)
    return {"from": rfc3339(start), "to": rfc3339(end)} | _shape(found, took, excluded, assumed, wanted)


def _shape(
    found: Forecast, took: dict[str, float], excluded: dict[str, int], assumed: Sequence[str], wanted: frozenset[str]
) -> dict[str, Any]:
    told = {name: tally for name, tally in sorted(found.jobs.items()) if not wanted or name in wanted}
    incidents = [one for one in found.incidents if one.job in told]
    busiest = found.busiest
    return {
        "slots": sum(tally.slots for tally in told.values()),
        "jobs": [_job(name, tally, took[name], excluded.get(name, 0), name in assumed) for name, tally in told.items()],
        "queues": [_crowd(name, crowd) for name, crowd in sorted(found.queues.items())],
        "workers": _crowd("workers", found.host),
        "busiest_minute": None if busiest is None else {"at": _time(busiest[0]), "slots": busiest[1]},
        "incidents": [asdict(one) | {"at": _time(one.at)} for one in sorted(incidents, key=lambda one: one.at)],
        "incidents_left_out": found.incidents_in_all - len(found.incidents),
    }


def _job(name: str, tally: Tally, took: float, excluded: int, assumed: bool) -> dict[str, Any]:
    shape = {"job": name, "seconds": took, "assumed": assumed, "excluded": excluded} | asdict(tally)
    shape["longest_wait_seconds"] = shape.pop("longest_wait")
    return shape


def _crowd(name: str, crowd: Crowd) -> dict[str, Any]:
    at = None if crowd.peak_at is None else _time(crowd.peak_at)
    return {"name": name, "max_running": crowd.limit, "peak": crowd.peak, "peak_at": at}


def _time(second: float) -> str:
    return rfc3339(datetime.fromtimestamp(second, UTC))


def _show(session: Session, shape: dict[str, Any]) -> None:
    now, jobs = session.now, shape["jobs"]
    sums = {
        key: sum(job[key] for job in jobs)
        for key in ("started", "skipped", "coalesced", "replaced", "expired", "waited")
    }
    span = f"{clock(instant(shape['from']), now)} to {clock(instant(shape['to']), now)}"
    session.say(f"{span}: {counted(shape['slots'], 'slot')} of {counted(len(jobs), 'job')}")
    session.say(", ".join(f"{count} {word}" for word, count in sums.items()))
    if shape["busiest_minute"]:
        busiest = shape["busiest_minute"]
        session.say(f"busiest minute: {clock(instant(busiest['at']), now)}, {counted(busiest['slots'], 'slot')}")
    assumed = [job for job in jobs if job["assumed"]]
    if assumed:
        names = ", ".join(job["job"] for job in assumed[:5])
        more = f" and {len(assumed) - 5} more" if len(assumed) > 5 else ""
        session.say(f"no past run is known of, so taken to last {lasted(assumed[0]['seconds'])}: {names}{more}")
    session.say()
    _show_crowds(session, [*shape["queues"], shape["workers"]], now)
    _show_jobs(session, [job for job in jobs if job["started"] < job["slots"] or job["waited"] or job["replaced"]])
    _show_incidents(session, shape["incidents"], now)


def _show_crowds(session: Session, crowds: list[dict[str, Any]], now: datetime) -> None:
    rows: list[list[Cell | str]] = [
        [
            crowd["name"],
            f"{crowd['peak']}/{crowd['max_running']}" if crowd["max_running"] else str(crowd["peak"]),
            clock(instant(crowd["peak_at"]), now) if crowd["peak_at"] else "-",
        ]
        for crowd in crowds
    ]
    session.table(columns("QUEUE PEAK AT", right=("PEAK",)), rows)


def _show_jobs(session: Session, jobs: list[dict[str, Any]]) -> None:
    """The jobs of which some slot did not simply start."""
    if not jobs:
        return
    session.say()
    counts = ("slots", "skipped", "coalesced", "replaced", "expired", "waited")
    rows: list[list[Cell | str]] = [
        [
            job["job"],
            lasted(job["seconds"]),
            *(str(job[key] or "") for key in counts),
            lasted(job["longest_wait_seconds"]) if job["waited"] else "",
        ]
        for job in jobs
    ]
    titles = "JOB TAKES SLOTS SKIPPED COALESCED REPLACED EXPIRED WAITED LONGEST"
    session.table(*filled(columns(titles, right=titles.split()[1:]), rows))


def _show_incidents(session: Session, incidents: list[dict[str, Any]], now: datetime) -> None:
    if not incidents:
        return
    session.say()
    rows: list[list[Cell | str]] = [
        [
            clock(instant(one["at"]), now),
            one["job"],
            Cell(one["kind"], Tone.NOTE),
            one["reason"],
            lasted(one["seconds"]) if one["seconds"] else "-",
        ]
        for one in incidents[:_SHOWN]
    ]
    session.table(columns("SLOT JOB WOULD-BE BY FOR"), rows)
    if len(incidents) > _SHOWN:
        session.remark(f"and {len(incidents) - _SHOWN} more (--json has them)")

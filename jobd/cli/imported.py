"""What an import came to, as text, JSON or files: the definitions, what they leave out, and which fires differ."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobd.cli import table
from jobd.cli.exits import Exit
from jobd.cli.session import Session, columns
from jobd.cli.terminal import Screen, complain
from jobd.core.names import counted
from jobd.core.spans import rfc3339

if TYPE_CHECKING:
    from jobd.definitions.importers.compare import Difference, Fires, Window
    from jobd.definitions.importers.drafts import Batch, Draft, Imported
    from jobd.definitions.problems import Problem
    from jobd.supervisor.settings import Settings

_MOST_SHOWN = 40
_MOST_NEXT = 3


@dataclass(frozen=True, slots=True)
class Request:
    """What the options ask for, apart from where the jobs come from."""

    zone: str
    """That of the old scheduler's host."""
    host_zone: str
    start: datetime
    end: datetime | None
    """None is the next seven days and the next change of the clock."""
    count: int | None
    writes: str | None
    """The directory to write to; empty for the highest one, None for not writing."""
    force: bool
    config: str | None


def show(
    session: Session,
    request: Request,
    batches: Sequence[tuple[str, Batch]],
    problems: Iterable[Problem],
    old: str,
) -> Exit:
    """Settle, compare, print, and write if asked to; `batches` are by the file each would be written to."""
    from jobd.definitions.importers import compare
    from jobd.definitions.importers.settle import settle
    from jobd.definitions.problems import Malformed
    from jobd.supervisor.settings import load

    try:
        settings = load(request.config)
    except Malformed as malformed:
        complain("\n".join(map(str, malformed.problems)))
        return Exit.INVALID
    directory = request.writes or settings.jobs_dirs[-1]
    names = [name for name, batch in batches if batch.drafts]
    jobs = settle(
        (_pinned(draft, request, settings) for _, batch in batches for draft in batch.drafts),
        settings.rules,
        _taken(settings, directory, names),
    )
    over = _windows(request, jobs)
    fires = compare.fires(jobs, over, request.host_zone, request.count or compare.MOST)
    differing = compare.differences(fires)
    general = [*problems, *(problem for _, batch in batches for problem in batch.problems)]
    if session.wants_json:
        _emit(session, jobs, fires, differing, general, over)
    else:
        _print(session, jobs, fires, differing, general, over, request, old)
    if request.writes is not None:
        _write(session, batches, jobs, directory, request.force)
    return Exit.OK


def _pinned(draft: Draft, request: Request, settings: Settings) -> Draft:
    """The draft with the old host's time zone, where the job would be in another one without it."""
    otherwise = settings.template().schedule.timezone or request.host_zone
    if "timezone" in draft.words or "schedule" not in draft.words or otherwise == request.zone:
        return draft
    return replace(draft, words={**draft.words, "timezone": request.zone})


def _windows(request: Request, jobs: Sequence[Imported]) -> tuple[Window, ...]:
    from jobd.definitions.importers.compare import Window, windows

    if request.end is not None:
        return (Window(request.start, request.end),)
    named = {job.job.schedule.timezone for job in jobs} - {None}
    return windows(request.start, {request.zone, *(name for name in named if name)})


def _taken(settings: Settings, directory: str, names: Sequence[str]) -> frozenset[str]:
    """The names of jobs that are defined already, in files other than those that would be written."""
    from jobd.definitions.check import check

    ours = {os.path.join(directory, name) for name in names}
    found = check(settings.jobs_dirs, settings.rules).catalog.jobs
    return frozenset(name for name, one in found.items() if one.file not in ours)


def _emit(
    session: Session,
    jobs: Sequence[Imported],
    fires: Sequence[Fires],
    differing: Sequence[Difference],
    general: Sequence[Problem],
    over: Sequence[Window],
) -> None:
    counts = {one.name: one for one in fires}
    session.emit(
        {
            "jobs": [
                {
                    "name": job.name,
                    "source": f"{job.place.file}:{job.place.line}",
                    "definition": dict(job.words),
                    "problems": [f"{problem.place}: {problem.message}" for problem in job.problems],
                    "fires": _counts(counts[job.name]),
                }
                for job in jobs
            ],
            "diff": [{"at": rfc3339(one.at), "old": list(one.old), "new": list(one.new)} for one in differing],
            "problems": [f"{problem.place}: {problem.message}" for problem in general],
            "compared": [{"from": rfc3339(window.after), "to": rfc3339(window.until)} for window in over],
        }
    )


def _counts(one: Fires) -> dict[str, Any]:
    return {
        "old": len(one.old) if one.is_known else None,
        "new": len(one.new),
        "next_old": [rfc3339(at) for at in one.old[:_MOST_NEXT]],
        "next_new": [rfc3339(at) for at in one.new[:_MOST_NEXT]],
        "cut": one.is_cut,
    }


def _print(
    session: Session,
    jobs: Sequence[Imported],
    fires: Sequence[Fires],
    differing: Sequence[Difference],
    general: Sequence[Problem],
    over: Sequence[Window],
    request: Request,
    old: str,
) -> None:
    """The definitions, and the comparison as comments below them, so that all of it is one file of YAML."""
    from jobd.definitions.importers.settle import text

    session.verbatim(text(jobs, _head(general)).rstrip("\n"))
    session.verbatim()
    for line in _comparison(fires, differing, over, request, old):
        session.verbatim(f"# {line}".rstrip())
    for problem in [*general, *(problem for job in jobs for problem in job.problems)]:
        complain(str(problem))
    told = sum(len(job.problems) for job in jobs) + len(general)
    session.remark(f"{counted(len(jobs), 'job')}, {counted(told, 'remark')}, {counted(len(differing), 'difference')}")


def _head(problems: Iterable[Problem]) -> str:
    """What gave no job, for the head of a file."""
    return "\n".join(map(str, problems))


def _comparison(
    fires: Sequence[Fires], differing: Sequence[Difference], over: Sequence[Window], request: Request, old: str
) -> list[str]:
    if not fires:
        return ["There is nothing to compare."]
    spans = " and ".join(f"{_local(window.after, request)} to {_local(window.until, request)}" for window in over)
    lines = [f"Fires of {old} and of jobd, {spans} ({request.zone}):"]
    rows: list[list[str]] = [
        [
            one.name,
            str(len(one.old)) if one.is_known else "?",
            str(len(one.new)),
            "+" if one.is_cut else "",
            _next(one, request),
        ]
        for one in fires
    ]
    shown = columns(f"JOB {old.upper()} JOBD MORE NEXT", right=(old.upper(), "JOBD"))
    lines += table.lines(shown, rows, Screen())
    if not differing:
        return [*lines, "They fire at the same instants."]
    lines.append(f"They differ at {counted(len(differing), 'instant')}:")
    titles = columns(f"LOCAL UTC {old.upper()} JOBD")
    cells = [
        [_local(one.at, request), _utc(one.at), _names(one.old), _names(one.new)] for one in differing[:_MOST_SHOWN]
    ]
    lines += table.lines(titles, cells, Screen())
    if len(differing) > _MOST_SHOWN:
        lines.append(f"and {len(differing) - _MOST_SHOWN} more (--json lists all)")
    return lines


def _next(one: Fires, request: Request) -> str:
    found = one.new or one.old
    return _local(found[0], request) if found else "-"


def _names(names: Sequence[str]) -> str:
    counts = {name: names.count(name) for name in names}
    return ", ".join(name if count == 1 else f"{name} x{count}" for name, count in counts.items()) or "-"


def _local(at: datetime, request: Request) -> str:
    from jobd.core import zones

    return f"{zones.zone(request.zone).local(int(at.timestamp())):%a %Y-%m-%d %H:%M:%S %z}"


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def _write(
    session: Session, batches: Sequence[tuple[str, Batch]], jobs: Sequence[Imported], directory: str, force: bool
) -> None:
    from jobd.definitions.importers.settle import text
    from jobd.definitions.importers.write import write

    files: dict[str, str] = {}
    at = 0
    for name, batch in batches:
        own = jobs[at : at + len(batch.drafts)]
        at += len(batch.drafts)
        if own:
            files[_free(name, files)] = text(own, _head(batch.problems))
    for path in write(files, directory, force=force):
        session.remark(f"wrote {path}")


def _free(name: str, files: dict[str, str]) -> str:
    """The name of a file that none of these has: /etc/crontab and /etc/cron.d/crontab would have the same."""
    found, count = name, 1
    while found in files:
        count += 1
        found = f"{name.removesuffix('.yaml')}-{count}.yaml"
    return found

"""`logs`: what a run wrote."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.follow import Sink, copy, follow
from jobd.cli.session import Session, verb
from jobd.cli.terminal import Tone
from jobd.cli.times import since as back_to
from jobd.core.errors import NotFound
from jobd.core.spans import rfc3339

_LOOK_BACK = 50
_PAGE = 500
_MOST_RUNS = 10_000


@dataclass(frozen=True, slots=True)
class _Wanted:
    streams: tuple[str, ...]
    lines: int | None
    attempt: int | None
    is_raw: bool

    def of(self, session: Session, run: int) -> dict[str, Callable[[], Iterator[bytes]]]:
        """The streams of a run, each to be had."""
        read = partial(session.output, run, attempt=self.attempt, lines=self.lines, is_raw=self.is_raw)
        return {stream: partial(read, stream) for stream in self.streams}


@verb(example="jobd-ctl logs nightly-backup\njobd-ctl logs -f -n 20 42\njobd-ctl logs nightly-backup --since 2d")
@click.argument("what", metavar="RUN|JOB", shell_complete=completing.jobs_and_runs)
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with what is written until the run is over.")
@click.option(
    "-n", "count", metavar="N", type=click.IntRange(0), help="Only the last N lines of each stream; -f begins there."
)
@click.option("--since", "earliest", metavar="D|T", help="Of every run of the job since then (2h, 2026-11-01).")
@click.option("--stdout", "wanted", flag_value="stdout", help="Only stdout.")
@click.option("--stderr", "wanted", flag_value="stderr", help="Only stderr.")
@click.option("--raw", "is_raw", is_flag=True, help="Secrets too, for the run's owner and operators.")
@click.option("--attempt", metavar="N", type=click.IntRange(1), help="Of this attempt; without it of the latest.")
def logs(
    session: Session,
    what: str,
    follows: bool,
    count: int | None,
    earliest: str | None,
    wanted: str | None,
    is_raw: bool,
    attempt: int | None,
) -> Exit:
    """The output of a run, or (a name) of the job's latest run: first stdout, then stderr.

    Of several runs each stands under a line that names it. On a terminal control characters are escaped; into a pipe
    the bytes go as they are.
    """
    asked = _Wanted((wanted,) if wanted else ("stdout", "stderr"), count, attempt, is_raw)
    _refuse_what_does_not_go_together(session, what, follows=follows, earliest=earliest, attempt=attempt)
    sys.stdout.flush()
    if earliest is not None:
        return _all_since(session, what, earliest, asked)
    run = int(what) if what.isdecimal() else latest_run(session, what)
    if follows:
        lock = threading.Lock()
        sinks = {stream: Sink(sys.stdout.fileno(), lock) for stream in asked.streams}
        first = attempt or max(1, session.get(f"/v1/runs/{run}")["attempts"])
        follow(session, run, sinks, first, lines=count, is_raw=is_raw)
    elif session.wants_json:
        session.emit(_shape(session, run, asked))
    else:
        _show(session, run, asked)
    return Exit.OK


def _refuse_what_does_not_go_together(
    session: Session, what: str, *, follows: bool, earliest: str | None, attempt: int | None
) -> None:
    if follows and session.wants_json:
        raise click.UsageError("--json gives what there is and does not follow; leave out -f")
    if earliest is None:
        return
    if what.isdecimal():
        raise click.UsageError("--since chooses among the runs of a job; name the job")
    if follows or attempt is not None:
        raise click.UsageError("--since shows the runs there were; leave out -f and --attempt")


def _all_since(session: Session, job: str, earliest: str, asked: _Wanted) -> Exit:
    try:
        instant = rfc3339(back_to(earliest, session.now))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    session.get(f"/v1/jobs/{session.path(job)}")
    found = session.listed("/v1/runs", _MOST_RUNS, _PAGE, job=job, since=instant)
    runs = [run for run in reversed(found) if run["attempts"]]
    if session.wants_json:
        session.emit([_shape(session, run["id"], asked) for run in runs])
        return Exit.OK
    for run in runs:
        session.paint(f"==> run {run['id']}, {run['state']}, {run['started_at'] or run['created_at']} <==", Tone.TITLE)
        sys.stdout.flush()
        _show(session, run["id"], asked)
    return Exit.OK


def _show(session: Session, run: int, asked: _Wanted) -> None:
    lock = threading.Lock()
    for chunks in asked.of(session, run).values():
        copy(chunks(), Sink(sys.stdout.fileno(), lock))


def _shape(session: Session, run: int, asked: _Wanted) -> dict[str, int | str | None]:
    texts = {name: b"".join(chunks()).decode(errors="replace") for name, chunks in asked.of(session, run).items()}
    return {"run": run, "attempt": asked.attempt, **texts}


def latest_run(session: Session, job: str) -> int:
    """The newest run of the job that has started. Raises NotFound where there is none."""
    session.get(f"/v1/jobs/{session.path(job)}")
    found = session.listed("/v1/runs", _LOOK_BACK, _LOOK_BACK, job=job)
    for run in found:
        if run["attempts"]:
            return int(run["id"])
    raise NotFound(f"no run of {job} has started yet (jobd-ctl runs --job {job})")

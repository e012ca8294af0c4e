"""`logs`: what a run wrote."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.follow import Sink, copy, follow
from jobd.cli.session import Session, verb
from jobd.core.errors import NotFound

_LOOK_BACK = 50


@verb(example="jobd-ctl logs nightly-backup\njobd-ctl logs -f 42\njobd-ctl logs --stderr -n 20 42")
@click.argument("what", metavar="RUN|JOB", shell_complete=completing.jobs_and_runs)
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on showing what is written until the run is over.")
@click.option("-n", "count", type=click.IntRange(0), help="Only the last N lines of each stream.")
@click.option("--stdout", "wanted", flag_value="stdout", help="Only stdout.")
@click.option("--stderr", "wanted", flag_value="stderr", help="Only stderr.")
@click.option(
    "--raw", "is_raw", is_flag=True, help="Secrets too, for the run's owner and operators; else they are ***."
)
@click.option("--attempt", type=click.IntRange(1), help="Of this attempt; without it of the latest.")
def logs(
    session: Session,
    what: str,
    follows: bool,
    count: int | None,
    wanted: str | None,
    is_raw: bool,
    attempt: int | None,
) -> Exit:
    """The output of a run, or (a name) of the job's latest run: first stdout, then stderr.

    On a terminal control characters are escaped; into a pipe the bytes go as they are.
    """
    if follows and count is not None:
        raise click.UsageError("-f shows everything from the start; leave out -n")
    run = int(what) if what.isdecimal() else latest_run(session, what)
    streams = [wanted] if wanted else ["stdout", "stderr"]
    lock = threading.Lock()
    sys.stdout.flush()
    if follows:
        sinks = {stream: Sink(sys.stdout.fileno(), lock) for stream in streams}
        follow(session, run, sinks, attempt or max(1, session.get(f"/v1/runs/{run}")["attempts"]), is_raw=is_raw)
        return Exit.OK
    if session.wants_json:
        session.emit(
            {"run": run, "attempt": attempt} | {name: _text(session, run, name, attempt, is_raw) for name in streams}
        )
        return Exit.OK
    for stream in streams:
        copy(
            last_lines(session.output(run, stream, attempt=attempt, is_raw=is_raw), count),
            Sink(sys.stdout.fileno(), lock),
        )
    return Exit.OK


def _text(session: Session, run: int, stream: str, attempt: int | None, is_raw: bool) -> str:
    return b"".join(session.output(run, stream, attempt=attempt, is_raw=is_raw)).decode(errors="replace")


def latest_run(session: Session, job: str) -> int:
    """The newest run of the job that has started. Raises NotFound where there is none."""
    session.get(f"/v1/jobs/{session.path(job)}")
    found = session.listed("/v1/runs", _LOOK_BACK, _LOOK_BACK, job=job)
    for run in found:
        if run["attempts"]:
            return int(run["id"])
    raise NotFound(f"no run of {job} has started yet (jobd-ctl runs --job {job})")


def last_lines(chunks: Iterable[bytes], count: int | None) -> Iterator[bytes]:
    """The chunks, or the last `count` lines of them; an unfinished last line counts as one."""
    if count is None:
        yield from chunks
        return
    whole = b"".join(chunks)
    start = len(whole) - whole.endswith(b"\n")
    for _ in range(count):
        start = whole.rfind(b"\n", 0, max(start, 0))
        if start < 0:
            break
    yield whole[start + 1 :] if count else b""

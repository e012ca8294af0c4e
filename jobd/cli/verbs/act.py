"""`cancel`, `kill` and `retry`: change what becomes of runs."""

from __future__ import annotations

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.cli.terminal import complain
from jobd.core.errors import JobdError
from jobd.core.names import counted


@verb(example="jobd-ctl cancel 42 43\njobd-ctl cancel --job import-feed")
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=click.IntRange(1), shell_complete=completing.runs)
@click.option(
    "--job", metavar="JOB", help="Every run of this job, defined any more or not.", shell_complete=completing.jobs
)
def cancel(session: Session, runs: tuple[int, ...], job: str | None) -> Exit:
    """End runs: at once if they wait, by ending their processes if they run."""
    if bool(runs) == (job is not None):
        raise click.UsageError("name RUNs, or give --job: one of these")
    if job is not None:
        return _all_of(session, job)
    return _each(session, runs, "cancel", {"running": "is being ended"})


@verb(example="jobd-ctl kill 42\njobd-ctl kill 42 --signal HUP")
@click.argument("run", metavar="RUN", type=click.IntRange(1))
@click.option("-s", "--signal", "name", metavar="S", default="TERM", help="Its name or number (TERM).")
def kill(session: Session, run: int, name: str) -> Exit:
    """Send a signal to every process of a running run.

    How that ends, its program decides: cancel ends a run for certain.
    """
    said = session.post(f"/v1/runs/{run}/kill", {"signal": name})
    if session.wants_json:
        session.emit(said)
        return Exit.OK
    pids = ", ".join(map(str, said["pids"]))
    session.say(f"run {run}: {said['signal']} sent to pid {pids} of attempt {said['attempt']}")
    return Exit.OK


@verb(example="jobd-ctl retry 42")
@click.argument(
    "runs", metavar="RUN...", nargs=-1, required=True, type=click.IntRange(1), shell_complete=completing.runs
)
def retry(session: Session, runs: tuple[int, ...]) -> Exit:
    """Queue failed or cancelled runs again; their attempts are counted on."""
    return _each(session, runs, "retry", {})


def _all_of(session: Session, job: str) -> Exit:
    """End every run of a job, asked again while there are more."""
    ended: list[int] = []
    while True:
        said = session.post(f"/v1/jobs/{session.path(job)}/cancel")
        ended += said["runs"]
        if not (said["is_partial"] and said["runs"]):
            break
    if session.wants_json:
        session.emit({"job": job, "runs": ended})
    else:
        session.say(f"{counted(len(ended), 'run')} of {job} {'is' if len(ended) == 1 else 'are'} cancelled")
    return Exit.OK


def _each(session: Session, runs: tuple[int, ...], action: str, words: dict[str, str]) -> Exit:
    """Do it to every run, also when one of them refuses; the last refusal decides the exit code."""
    from jobd.cli.ctl import code_of

    code, answers = Exit.OK, []
    for run in runs:
        try:
            answer = session.post(f"/v1/runs/{run}/{action}")
        except JobdError as error:
            if len(runs) == 1:
                raise
            complain(f"run {run}: {error}")
            code = code_of(error)
            continue
        answers.append(answer)
        if not session.wants_json:
            state = answer["state"]
            session.say(f"run {run} {words.get(state, f'is {state}')}")
    if session.wants_json:
        session.emit(answers)
    return code

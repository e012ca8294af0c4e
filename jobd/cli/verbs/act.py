"""`cancel` and `retry`: change what becomes of runs."""

from __future__ import annotations

import click

from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.cli.terminal import complain
from jobd.core.errors import JobdError


@verb(example="jobd-ctl cancel 42 43")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.IntRange(1))
def cancel(session: Session, runs: tuple[int, ...]) -> Exit:
    """End runs: at once if they wait, by ending their processes if they run."""
    return _each(session, runs, "cancel", {"running": "is being ended"})


@verb(example="jobd-ctl retry 42")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.IntRange(1))
def retry(session: Session, runs: tuple[int, ...]) -> Exit:
    """Queue failed or cancelled runs again; their attempts are counted on."""
    return _each(session, runs, "retry", {})


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

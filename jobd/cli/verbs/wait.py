"""`wait`: stay until runs are over, and pass on how they ended."""

from __future__ import annotations

import time
from typing import Any

import click

from jobd.cli import completing
from jobd.cli.bar import Bar
from jobd.cli.exits import Exit
from jobd.cli.render import ending, span
from jobd.cli.session import Session, verb
from jobd.core.spans import seconds
from jobd.core.states import FINAL

_ONE_QUESTION_SECONDS = 30.0
_ONE_LOOK_SECONDS = 0.5
"""The same where somebody watches a bar."""


@verb(example="jobd-ctl wait 42 && echo done\njobd-ctl wait --timeout 10m 42 43")
@click.argument(
    "runs", metavar="RUN...", nargs=-1, required=True, type=click.IntRange(1), shell_complete=completing.runs
)
@click.option("--timeout", metavar="D", help="Give up after so long, with exit code 124; the runs go on.")
def wait(session: Session, runs: tuple[int, ...], timeout: str | None) -> int:
    """Wait until all RUNs are over.

    Exits with the job's own code; of several, with the first that is not 0. 124 timeout, 128+n signal n, 125 no code
    of the job (cancelled, lost, expired), 126/127 not executable/not found.
    """
    deadline = time.monotonic() + _seconds(timeout) if timeout else None
    ended = []
    for number in runs:
        found = finish(session, number, deadline)
        ended.append(found)
        if not session.wants_json:
            session.say(f"run {number} {ending(found).text} after {span(found, session.now)}")
    if session.wants_json:
        session.emit(ended[0] if len(ended) == 1 else ended)
    return next((code for found in ended if (code := exit_code(found))), Exit.OK)


def _seconds(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timeout") from None


def finish(session: Session, run: int, deadline: float | None = None) -> dict[str, Any]:
    """The run when it is final, or as it is at `deadline` (of the monotonic clock)."""
    bar = Bar(session)
    longest = _ONE_LOOK_SECONDS if bar.is_shown else _ONE_QUESTION_SECONDS
    while True:
        left = longest if deadline is None else max(0.0, deadline - time.monotonic())
        found: dict[str, Any] = session.get(f"/v1/runs/{run}/wait", timeout=f"{min(left, longest):.3f}")
        if found["state"] in FINAL or (deadline is not None and time.monotonic() >= deadline):
            bar.clear()
            return found
        bar.draw(found)


def exit_code(run: dict[str, Any]) -> int:
    """What `wait` exits with for one run (INTERFACES.md, Exit codes)."""
    if run["state"] == "succeeded":
        return Exit.OK
    if run["state"] not in FINAL or run.get("outcome") == "timeout":
        return Exit.TIMEOUT
    code = run.get("exit_code")
    return code if isinstance(code, int) and 0 < code < 256 else Exit.JOBD_FAILED

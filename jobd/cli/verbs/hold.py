"""`pause`, `resume` and `skip-next`: keep jobs and queues back for a while."""

from __future__ import annotations

from typing import Any

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.cli.terminal import complain
from jobd.cli.times import moment
from jobd.core.errors import JobdError
from jobd.core.spans import rfc3339, seconds

_WHAT = "name JOBs, or give --queue, or --all: one of these"
_queues = click.option(
    "--queue",
    "queues",
    metavar="QUEUE",
    multiple=True,
    help="This queue; may be repeated.",
    shell_complete=completing.queues,
)


@verb(
    example='jobd-ctl pause nightly-backup --until 2h --note "disk swap"\n'
    "jobd-ctl pause --queue email\njobd-ctl pause --all --until 2026-12-27T06:00"
)
@click.argument("jobs", metavar="[JOB]...", nargs=-1, shell_complete=completing.jobs)
@_queues
@click.option("--all", "is_all", is_flag=True, help="Everything: every queue and the slots of every job.")
@click.option("--until", metavar="T|D", help="Resume by itself then (2h, 2026-12-24T18:00).")
@click.option("--note", metavar="TEXT", default="", help="Why, for whoever looks.")
def pause(
    session: Session, jobs: tuple[str, ...], queues: tuple[str, ...], is_all: bool, until: str | None, note: str
) -> Exit:
    """Let nothing of jobs or queues start; what runs goes on, and paused time owes nothing."""
    body = {"until": _until(until, session), "note": note or None}
    return _each(session, _paths(session, jobs, queues, is_all), "pause", body, "is paused")


@verb(example="jobd-ctl resume nightly-backup\njobd-ctl resume --queue email\njobd-ctl resume --all")
@click.argument("jobs", metavar="[JOB]...", nargs=-1, shell_complete=completing.jobs)
@_queues
@click.option("--all", "is_all", is_flag=True, help="Everything; what is paused for itself stays so.")
def resume(session: Session, jobs: tuple[str, ...], queues: tuple[str, ...], is_all: bool) -> Exit:
    """End the pause of jobs or queues; a job's circuit is closed too."""
    return _each(session, _paths(session, jobs, queues, is_all), "resume", None, "is not paused")


@verb(example="jobd-ctl skip-next nightly-backup\njobd-ctl skip-next nightly-backup --undo", name="skip-next")
@click.argument("job", shell_complete=completing.jobs)
@click.option("--undo", is_flag=True, help="Take back every slot that is to be skipped.")
def skip_next(session: Session, job: str, undo: bool) -> Exit:
    """Skip the next slot of a job; said again, the one after it too."""
    said = session.post(f"/v1/jobs/{session.path(job)}/skip-next", {"undo": undo})
    if session.wants_json:
        session.emit(said)
        return Exit.OK
    for at in said["slots"]:
        session.say(f"{job}: the slot of {at} {'is not skipped any more' if undo else 'is going to be skipped'}")
    if not said["slots"]:
        session.remark(f"no slot of {job} was to be skipped")
    return Exit.OK


def _paths(session: Session, jobs: tuple[str, ...], queues: tuple[str, ...], is_all: bool) -> list[tuple[str, str]]:
    """(what a person calls it, its path) of everything that is meant."""
    if bool(jobs) + bool(queues) + is_all != 1:
        raise click.UsageError(_WHAT)
    if is_all:
        return [("everything", "/v1")]
    if jobs:
        return [(job, f"/v1/jobs/{session.path(job)}") for job in jobs]
    return [(f"queue {queue}", f"/v1/queues/{session.path(queue)}") for queue in queues]


def _each(session: Session, paths: list[tuple[str, str]], action: str, body: Any, words: str) -> Exit:
    """Do it to each, also when one of them refuses; the last refusal decides the exit code."""
    from jobd.cli.ctl import code_of

    code, answers = Exit.OK, []
    for called, path in paths:
        try:
            said = session.post(f"{path}/{action}", body)
        except JobdError as error:
            if len(paths) == 1:
                raise
            complain(f"{called}: {error}")
            code = code_of(error)
            continue
        answers.append(said)
        if not session.wants_json:
            until = f" until {said['until']}" if said.get("until") else ""
            session.say(f"{called} {words}{until}")
            if said.get("was_paused") is False:
                session.remark(f"{called} was not paused")
    if session.wants_json:
        session.emit(answers)
    return code


def _until(text: str | None, session: Session) -> str | None:
    """A moment to come, written as one or as a time from now; the daemon gets an instant."""
    if text is None:
        return None
    try:
        return str(seconds(text)) if _is_span(text) else rfc3339(moment(text, session.now))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--until") from None


def _is_span(text: str) -> bool:
    try:
        seconds(text)
    except ValueError:
        return False
    return True

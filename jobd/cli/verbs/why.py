"""`why`: the reason a job did not run, or a run has not yet."""

from __future__ import annotations

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.cli.terminal import Tone, safe_line
from jobd.cli.times import told

_SHOWN = 20


@verb(
    example="jobd-ctl why nightly-backup\njobd-ctl why nightly-backup --at 02:30\n"
    "jobd-ctl why nightly-backup --at 2026-03-29T02:30\njobd-ctl why 42"
)
@click.argument("what", metavar="JOB|RUN", shell_complete=completing.jobs_and_runs)
@click.option(
    "--at", "at", metavar="T", help="What became of the slot at T; a local time is one of the job's own zone."
)
def why(session: Session, what: str, at: str | None) -> Exit:
    """The reason a job is not running now, or (a number) why a run waits or how it ended.

    With --at: what became of the job's slot at that instant, or why there was none and which are around it. T is RFC
    3339, a local 2026-12-24T18:00, or 02:30 for the last one. The first line has the reason as a machine word.
    """
    if what.isdecimal() and at is not None:
        raise click.UsageError("--at asks about a slot of a JOB; a run has none to choose")
    path = f"/v1/runs/{what}/why" if what.isdecimal() else f"/v1/jobs/{session.path(what)}/why"
    found = session.get(path, at=at)
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    session.paint(f"{found['subject']}: {found['reason']}", Tone.TITLE)
    session.say(f"  {safe_line(found['detail'])}")
    for blocker in found["blockers"][:_SHOWN]:
        name = "" if blocker["id"] is None else f" {blocker['id']}"
        session.say(safe_line(f"  {blocker['kind']}{name}: {blocker['detail']}"))
    if len(found["blockers"]) > _SHOWN:
        session.say(f"  and {len(found['blockers']) - _SHOWN} more (--json has them all)")
    if found["until"]:
        session.say(f"  until {told(found['until'], session.now)}")
    return Exit.OK

"""`notify`: the channels of notifications, and a message that shows whether one works."""

from __future__ import annotations

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.session import Session, columns, verb
from jobd.cli.terminal import safe_line

_PATIENCE_SECONDS = 90.0


@click.group(epilog="\b\nExamples:\n  jobd-ctl notify list\n  jobd-ctl notify test ops")
def notify() -> None:
    """The channels that notifications go through."""


@verb(example="jobd-ctl notify list", name="list")
def list_(session: Session) -> Exit:
    """The channels of jobd.yaml, and the built-in jobs whose runs carry their messages."""
    found = session.listed("/v1/channels")
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    if not found:
        session.remark("there are no channels (channels: in jobd.yaml names them)")
        return Exit.OK
    session.table(columns("CHANNEL KIND JOB"), [[one["name"], one["kind"], one["job"]] for one in found])
    return Exit.OK


@verb(example="jobd-ctl notify test ops", name="test")
@click.argument("channel", shell_complete=completing.channels)
def test(session: Session, channel: str) -> Exit:
    """Send a message through CHANNEL that says that it is a test, and wait until it is delivered.

    Exits with 1 where it was not, and says what went wrong. Unlike other messages it is tried once.
    """
    sent = session.post(f"/v1/channels/{session.path(channel)}/test")
    run = session.client.wait(sent["id"], _PATIENCE_SECONDS)
    if session.wants_json:
        session.emit(run)
    elif run["state"] == "succeeded":
        session.say(f"delivered through {channel} (run {run['id']})")
    else:
        why = run["error"] or f"it is {run['state']}"
        session.say(safe_line(f"not delivered through {channel} (run {run['id']}): {why}"))
    return Exit.OK if run["state"] == "succeeded" else Exit.FAILED


for made in (list_, test):
    notify.add_command(made)

"""`version` and `completion`: about the tool itself."""

from __future__ import annotations

import click

from jobd import __version__
from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.client import Unreachable


@verb(example="jobd-ctl version")
def version(session: Session) -> Exit:
    """The versions of jobd-ctl and of the daemon, where one answers."""
    try:
        daemon = session.get("/v1/version")["version"]
    except Unreachable:
        daemon = None
    if session.wants_json:
        session.emit({"client": __version__, "daemon": daemon})
    else:
        session.say(f"jobd-ctl {__version__}")
        session.say(f"jobd     {daemon or 'not reachable'}")
    return Exit.OK


@verb(example='eval "$(jobd-ctl completion bash)"\njobd-ctl completion fish > ~/.config/fish/completions/jobd-ctl.fish')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(session: Session, shell: str) -> Exit:
    """Shell code that completes verbs and options of jobd-ctl, and what a running jobd knows: jobs, queues and runs."""
    from click.shell_completion import get_completion_class

    from jobd.cli.ctl import group

    kind = get_completion_class(shell)
    assert kind is not None
    session.verbatim(kind(group, {}, "jobd-ctl", "_JOBD_CTL_COMPLETE").source())
    return Exit.OK

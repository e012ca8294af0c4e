"""`prune`: let the history forget what is old, now."""

from __future__ import annotations

from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.core.names import counted
from jobd.core.spans import show_size


@verb(example="jobd-ctl prune")
def prune(session: Session) -> Exit:
    """Forget now what the retention of jobd.yaml says; jobd does so by itself every hour."""
    gone = session.post("/v1/prune")
    if session.wants_json:
        session.emit(gone)
        return Exit.OK
    session.say(
        f"forgot {counted(gone['runs'], 'run')}, {counted(gone['slots'], 'slot')} "
        f"and {show_size(gone['output_bytes'])} of output"
    )
    return Exit.OK

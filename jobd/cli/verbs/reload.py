"""`reload`: have the settings and the definitions read again."""

from __future__ import annotations

import sys

import click

from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.cli.terminal import safe_line


@verb(example="jobd-ctl reload --dry-run\njobd-ctl reload")
@click.option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
def reload(session: Session, dry_run: bool) -> Exit:
    """Read jobd.yaml and the definitions again, wait for it, and say what changed.

    A file with problems keeps its last good jobs in force; the others apply. Exits with 6 when there are problems.
    """
    change = session.post("/v1/reload?dry_run=1" if dry_run else "/v1/reload")
    if session.wants_json:
        session.emit(change)
    else:
        for word in ("added", "changed", "removed"):
            for name in change[word]:
                session.say(f"{word} {name}")
        for name in change["settings"]:
            session.say(f"changed jobd.yaml: {name}")
        for name in change["restart_needed"]:
            session.remark(f"jobd.yaml: {name} was changed and holds once jobd is restarted")
        if not any(change[word] for word in ("added", "changed", "removed", "settings", "restart_needed")):
            session.remark("nothing changed")
    for problem in change["problems"]:
        print(safe_line(problem), file=sys.stderr)
    return Exit.INVALID if change["problems"] else Exit.OK

"""`backup`, `restore` and `drain`: the daemon and its database as a whole."""

from __future__ import annotations

import os

import click

from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.core.names import counted
from jobd.core.spans import show_size


@verb(example="jobd-ctl backup /backup/jobd.db\njobd-ctl backup - | zstd >jobd.db.zst")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
def backup(session: Session, file: str) -> Exit:
    """Write a copy of the database to FILE (- for stdout), while jobd works on; for administrators.

    It is a committed state, looked at by SQLite before it is sent, and a plain database: restore it, or put it into an
    empty state directory as jobd.db. A FILE that is there is replaced once the copy is whole. Captured output is not in
    it.
    """
    if file == "-":
        with os.fdopen(os.dup(1), "wb") as out:
            for piece in session.client.backup():
                out.write(piece)
        return Exit.OK
    part = f"{file}.part"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as out:
        for piece in session.client.backup():
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
        size = out.tell()
    os.rename(part, file)
    if session.wants_json:
        session.emit({"file": os.path.abspath(file), "bytes": size})
    else:
        session.say(f"{file}: {show_size(size)}")
    return Exit.OK


@verb(example="systemctl stop jobd\njobd-ctl restore /backup/jobd.db\nsystemctl start jobd")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--config", metavar="FILE", help="The settings that say where the state is.")
@click.option("--user", "is_user", is_flag=True, help="The state of `jobd --user`.")
def restore(session: Session, file: str, config: str | None, is_user: bool) -> Exit:
    """Put a backup in the place of the database; jobd must be stopped.

    The backup is looked at first. What was there before is kept beside it. Runs that were under way in the backup are
    judged at the next start, as after a crash.
    """
    from jobd.supervisor.restore import restore as put_back
    from jobd.supervisor.settings import load

    settings = load(config, user=is_user)
    before = put_back(settings, file)
    if session.wants_json:
        session.emit({"database": settings.database, "before": before})
    else:
        session.say(f"restored {settings.database}" + (f"; what was there is {before} now" if before else ""))
    return Exit.OK


@verb(example="jobd-ctl drain\njobd-ctl drain --queue email")
@click.option("--queue", metavar="QUEUE", help="Only let this queue take no new runs; jobd goes on.")
def drain(session: Session, queue: str | None) -> Exit:
    """Start nothing more, wait for what runs, and end jobd: what `systemctl stop jobd` does.

    It waits for drain_timeout; what still runs then is stopped, requeued, waited for or left, as its job says.

    A queue that is drained refuses submits, skips the slots of its jobs, and serves what it has, until somebody says
    `queue set QUEUE draining=default`.
    """
    if queue is not None:
        return _drain_queue(session, queue)
    begun = session.post("/v1/drain")
    if session.wants_json:
        session.emit(begun)
    else:
        session.say(f"jobd ends once {counted(begun['running'], 'attempt')} under way have ended")
    return Exit.OK


def _drain_queue(session: Session, name: str) -> Exit:
    said = session.client.request("PATCH", f"/v1/queues/{session.path(name)}", body={"draining": True})
    if session.wants_json:
        session.emit(said)
    else:
        left = f"{said['pending']} waiting and {said['processing']} running are served"
        session.say(f"{name} takes no new runs; {left}. Open it with: jobd-ctl queue set {name} draining=default")
    return Exit.OK

"""`doctor`: what is degraded on this host, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.cli.terminal import Tone
from jobd.client import Unreachable
from jobd.core.errors import JobdError, NotPermitted

if TYPE_CHECKING:
    from jobd.supervisor.doctor.finding import Finding

_TONES = {"ok": Tone.GOOD, "unknown": Tone.DIM, "warning": Tone.NOTE, "bad": Tone.BAD}
_CODES = {"daemon": Exit.UNREACHABLE, "definitions": Exit.INVALID, "settings": Exit.INVALID}
"""What is wrong where nothing else is: it has an exit code of its own."""


@verb(example="jobd-ctl doctor\njobd-ctl doctor --json | jq '.findings[] | select(.grade == \"bad\")'")
@click.option("--config", metavar="FILE", help="The jobd.yaml to look at; else the one the daemon was started with.")
@click.option("--user", "is_user", is_flag=True, help="Look at the settings of `jobd --user`.")
def doctor(session: Session, config: str | None, is_user: bool) -> Exit:
    """What is degraded on this host and how to mend it; changes nothing, and works while jobd is down too.

    Clock, disk, SQLite, cgroups, owners and modes, users, definitions, secrets, the database and its audit trail.
    What only root may see is `unknown` to others. Exits with 0 when nothing is bad, 3 when only the daemon is down, 6
    when only settings or definitions are broken, else 1.
    """
    found = list(_examined(session, config, is_user))
    healthy = all(finding.grade != "bad" for finding in found)
    if session.wants_json:
        session.emit({"healthy": healthy, "findings": [_shape(finding) for finding in found]})
    else:
        _show(session, found)
    return Exit.OK if healthy else _code(found)


def _examined(session: Session, config: str | None, is_user: bool) -> Iterator[Finding]:
    from jobd.definitions.problems import Malformed
    from jobd.supervisor import doctor as examination
    from jobd.supervisor.doctor import daemon
    from jobd.supervisor.doctor.finding import bad
    from jobd.supervisor.settings import load

    status, said = _status(session)
    yield from examination.of_host()
    if said is not None:
        yield said
    if status is not None and config is None and not is_user:
        config, is_user = daemon.arguments(status["pid"])
    try:
        settings = load(config, user=is_user)
    except Malformed as malformed:
        for problem in malformed.problems:
            yield bad("settings", str(problem), "mend it; jobd does not start with it")
        return
    if status is not None:
        yield from examination.of_daemon(status, settings)
    yield from examination.of_settings(settings, status)
    if status is not None:
        yield _trail(session)


def _status(session: Session) -> tuple[dict[str, Any] | None, Finding | None]:
    """What the daemon says of itself, or why it says nothing."""
    from jobd.supervisor.doctor.finding import bad, unknown

    try:
        return session.get("/v1/status", jobs="0"), None
    except Unreachable as error:
        return None, bad("daemon", str(error), "systemctl start jobd; journalctl -u jobd says why it ended")
    except NotPermitted as error:
        return None, unknown("daemon", str(error), "look as root")


def _trail(session: Session) -> Finding:
    from jobd.supervisor.doctor.finding import unknown
    from jobd.supervisor.doctor.store import of_trail

    try:
        seen = session.get("/v1/audit/verify")
    except JobdError as error:
        return unknown("audit", str(error), "look as root")
    return of_trail(seen["entries"], seen["broken_at"])


def _shape(finding: Finding) -> dict[str, Any]:
    return {"check": finding.check, "grade": finding.grade, "detail": finding.detail, "mend": finding.mend or None}


def _show(session: Session, found: list[Finding]) -> None:
    """What is bad last, where eyes are when the text has run through."""
    order = list(_TONES)
    for finding in sorted(found, key=lambda one: order.index(one.grade)):
        lead = f"{finding.grade:<8} {finding.check:<12} "
        session.paint(lead + finding.detail, _TONES[finding.grade] if finding.grade != "ok" else Tone.PLAIN)
        if finding.mend:
            session.say(" " * len(lead) + f"-> {finding.mend}")


def _code(found: list[Finding]) -> Exit:
    codes = {_CODES.get(finding.check, Exit.FAILED) for finding in found if finding.grade == "bad"}
    return codes.pop() if len(codes) == 1 else Exit.FAILED

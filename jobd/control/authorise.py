"""Who may do what, as one pure table; who somebody is, is settled in `peers`."""

from __future__ import annotations

from enum import StrEnum

from jobd.core.errors import NotPermitted
from jobd.core.intents import Actor
from jobd.core.roles import Role


class Deed(StrEnum):
    """What can be asked, worded to complete "may not …"."""

    VIEW = "read states"
    SUBMIT = "submit runs"
    SUBMIT_COMMAND = "submit ad-hoc commands"
    SEE_CONTENTS = "see payload, result and output of this run"
    SEE_UNMASKED = "see the output of this run unmasked"
    ACT_ON_RUN = "cancel, signal or retry this run"
    SEE_DEFINITION = "see definitions in full"
    HOLD_JOB = "pause, resume or skip slots of this job, or cancel all its runs"
    SET_QUEUE = "change the limits of queues"
    HOLD_QUEUE = "pause or resume queues"
    TEST_CHANNEL = "send tests through channels"
    RELOAD = "reload the definitions"
    PRUNE = "prune the history"
    AUDIT = "read the audit trail"
    BACK_UP = "back up the database"
    DRAIN = "drain jobd"


_LEAST: dict[Deed, tuple[Role, Role]] = {
    Deed.VIEW: (Role.VIEWER, Role.VIEWER),
    Deed.SUBMIT: (Role.SUBMITTER, Role.SUBMITTER),
    Deed.SUBMIT_COMMAND: (Role.SUBMITTER, Role.SUBMITTER),
    Deed.SEE_CONTENTS: (Role.OPERATOR, Role.SUBMITTER),
    Deed.SEE_UNMASKED: (Role.OPERATOR, Role.SUBMITTER),
    Deed.ACT_ON_RUN: (Role.OPERATOR, Role.SUBMITTER),
    Deed.SEE_DEFINITION: (Role.OPERATOR, Role.OPERATOR),
    Deed.HOLD_JOB: (Role.OPERATOR, Role.OPERATOR),
    Deed.SET_QUEUE: (Role.OPERATOR, Role.OPERATOR),
    Deed.HOLD_QUEUE: (Role.OPERATOR, Role.OPERATOR),
    Deed.TEST_CHANNEL: (Role.OPERATOR, Role.OPERATOR),
    Deed.RELOAD: (Role.ADMIN, Role.ADMIN),
    Deed.PRUNE: (Role.ADMIN, Role.ADMIN),
    Deed.AUDIT: (Role.ADMIN, Role.ADMIN),
    Deed.BACK_UP: (Role.ADMIN, Role.ADMIN),
    Deed.DRAIN: (Role.ADMIN, Role.ADMIN),
}
"""Deed → the least role for anybody's thing, and the least role for one's own."""

_ADHOC: dict[str, Role | None] = {
    "off": None,
    "admin": Role.ADMIN,
    "operator": Role.OPERATOR,
    "submitter": Role.SUBMITTER,
}


def permits(who: Actor, deed: Deed, owner: str | None = None, *, job_owner: str | None = None) -> bool:
    """Whether somebody may do this to a thing of `owner` (a user name; None for things that have none).

    Whoever is the owner of the job that it concerns has an operator's rights there.
    """
    anybodys, own = _LEAST[deed]
    role = max(who.role, Role.OPERATOR) if who.owns(job_owner) and who.role >= Role.VIEWER else who.role
    return role >= (own if who.owns(owner) else anybodys)


def require(who: Actor, deed: Deed, owner: str | None = None, *, job_owner: str | None = None) -> None:
    """Raise NotPermitted unless `permits`."""
    if not permits(who, deed, owner, job_owner=job_owner):
        raise NotPermitted(f"{who.user} may not {deed} ({_hint(deed)})")


def require_command(who: Actor, adhoc: str, daemon_uid: int) -> None:
    """Raise NotPermitted unless somebody may submit an ad-hoc command, which runs as them and never as more.

    A daemon that is not root can only run commands as itself, so it takes them from its own user and from root alone.
    """
    least = _ADHOC[adhoc]
    if least is None:
        raise NotPermitted("ad-hoc commands are turned off here (control.adhoc: off); submit a run of a defined job")
    if who.role < least:
        raise NotPermitted(f"{who.user} may not {Deed.SUBMIT_COMMAND} (control.adhoc: {adhoc})")
    if daemon_uid != 0 and who.uid not in (0, daemon_uid):
        raise NotPermitted(
            f"an ad-hoc command runs as its submitter, and this jobd (uid {daemon_uid}) cannot become {who.user}; "
            "submit a run of a defined job"
        )


def _hint(deed: Deed) -> str:
    match deed:
        case Deed.SUBMIT | Deed.SUBMIT_COMMAND:
            return "submitters may: members of the control socket's group, or whom roles in jobd.yaml names"
        case Deed.SEE_CONTENTS | Deed.SEE_UNMASKED | Deed.ACT_ON_RUN:
            return "its submitter, the owner of its job and operators may"
        case Deed.VIEW:
            return "roles in jobd.yaml gives you no role"
        case Deed.RELOAD | Deed.PRUNE | Deed.AUDIT | Deed.BACK_UP | Deed.DRAIN:
            return "administrators may: root, the user jobd runs as, and whom roles in jobd.yaml names"
        case _:
            return "operators may, and the owner of a job with it"

"""Whether policy.run_as_allowed lets a job have the user and the group that it names."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator, Sequence

from jobd.core.model import Job
from jobd.core.shown import shown


def faults(job: Job, allowed: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Key and message of what is not allowed.

    `allowed` are users, and groups as `@group`: each member of it may be named, and the group itself. The groups that
    its user is in anyway a job may always name.
    """
    if "*" in allowed:
        return
    said = f"policy.run_as_allowed does not allow %s ({', '.join(allowed) or 'nobody'})"
    listed = {name.removeprefix("@") for name in allowed if name.startswith("@")}
    if job.user is not None and job.user not in allowed and not listed & _groups_of(job.user):
        yield "user", said % shown(job.user)
    if job.group is not None and job.group not in listed | _groups_of(job.user):
        yield "group", said % f"the group {shown(job.group)}"


def _groups_of(user: str | None) -> set[str]:
    """The names of the groups of a user, or of jobd's own; none of one that is not there."""
    try:
        entry = pwd.getpwuid(os.geteuid()) if user is None else pwd.getpwnam(user)
    except KeyError:
        return set()
    return {name for gid in os.getgrouplist(entry.pw_name, entry.pw_gid) if (name := _name(gid)) is not None}


def _name(gid: int) -> str | None:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None

"""The definitions as this host would run them: what is wrong, and whom or what they name that is not here."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterable, Iterator

from jobd.core.model import Job
from jobd.core.names import counted, several
from jobd.definitions.check import Verdict
from jobd.supervisor import channels as lines
from jobd.supervisor import roles
from jobd.supervisor.doctor.finding import Finding, bad, ok, unknown, warning
from jobd.supervisor.settings import Settings

_SHOWN = 5


def definitions(verdict: Verdict) -> Iterator[Finding]:
    """Problems one by one, the first few of them; doubts in one line."""
    for problem in verdict.problems[:_SHOWN]:
        yield bad("definitions", str(problem), "mend the file; what was in force before stays")
    if len(verdict.problems) > _SHOWN:
        yield bad("definitions", f"and {len(verdict.problems) - _SHOWN} problems more", "jobd-ctl check")
    if not verdict.problems:
        yield ok("definitions", f"{counted(len(verdict.catalog.jobs), 'job')} without a problem")
    if verdict.warnings:
        yield warning("definitions", f"{counted(len(verdict.warnings), 'doubt')} about them", "jobd-ctl check")


def accounts(settings: Settings, jobs: Iterable[Job], uid: int) -> Iterator[Finding]:
    """Users and groups that jobs and roles name; `uid` is the daemon's own user."""
    users: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    owners: set[str] = set()
    for job in jobs:
        if job.owner is not None:
            owners.add(job.owner)
        if job.user is not None:
            users.setdefault(job.user, []).append(job.name)
        if job.group is not None:
            groups.setdefault(job.group, []).append(job.name)
    faults = [
        *_missing("user", users, lambda name: _is_there(pwd.getpwnam, name)),
        *_missing("group", groups, lambda name: _is_there(grp.getgrnam, name)),
        *_beyond(users, uid),
        *_strangers("policy.run_as_allowed", settings.run_as_allowed, "no job can run as it"),
        *_strangers("owner", sorted(owners), "nobody has an owner's rights by it"),
        *(warning("roles", said, "create it, or mend roles in jobd.yaml") for said in _unknown_roles(settings)),
    ]
    yield from faults
    yield _socket_group(settings, uid)
    if not faults:
        yield ok("accounts", "every user and group that is named is there")


def _missing(kind: str, named: dict[str, list[str]], is_there: Callable[[str], bool]) -> Iterator[Finding]:
    for name, jobs in sorted(named.items()):
        if not is_there(name):
            step = f"{kind}add --system {name}, or name another {kind}"
            yield bad("accounts", f"there is no {kind} {name}, and {several(jobs)} cannot start", step)


def _strangers(key: str, names: Iterable[str], so: str) -> Iterator[Finding]:
    """Users that a key names and that are not there: it grants nothing, and mostly is a slip of the pen."""
    for name in names:
        if name != roles.EVERYBODY and not _is_there(pwd.getpwnam, name):
            yield warning(
                "accounts", f"{key} names {name}: there is no such user, so {so}", f"useradd {name}, or mend it"
            )


def _is_there(look_up: Callable[[str], object], name: str) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True


def _beyond(users: dict[str, list[str]], uid: int) -> Iterator[Finding]:
    """Jobs that run as somebody else than a jobd that is not root."""
    if uid == 0:
        return
    for name, jobs in sorted(users.items()):
        if _is_there(pwd.getpwnam, name) and pwd.getpwnam(name).pw_uid != uid:
            step = f"run jobd as root, or take user: {name} out of them"
            yield bad("accounts", f"jobd is uid {uid} and cannot run {several(jobs)} as {name}", step)


def _unknown_roles(settings: Settings) -> list[str]:
    return [said.partition(", so ")[0] for said in roles.resolve(settings.roles, None)[1]]


def _socket_group(settings: Settings, uid: int) -> Finding:
    name = settings.socket_group
    if name is None or uid != 0:
        return ok("socket", f"{settings.socket} is for jobd's own user, mode {settings.socket_mode:04o}")
    if _is_there(grp.getgrnam, name):
        return ok("socket", f"{settings.socket} is for the group {name}, mode {settings.socket_mode:04o}")
    step = f"groupadd --system {name} (the package does), then restart jobd"
    return warning("socket", f"there is no group {name}: only root may submit", step)


def channels(settings: Settings, uid: int) -> Iterator[Finding]:
    """Whether what channels need is there, before somebody should have been told."""
    doubts = lines.doubts(settings.channels)
    grade = bad if os.geteuid() in (0, uid) else unknown
    for doubt in doubts:
        yield grade("channels", doubt, "mend it, and try with jobd-ctl notify test")
    if settings.channels and not doubts:
        yield ok("channels", f"{counted(len(settings.channels), 'channel')} of notifications")


def limits(jobs: Iterable[Job], containment: str | None) -> Iterator[Finding]:
    """Whether what jobs ask of a cgroup can be had; `containment` is the daemon's word, None where it is down."""
    asking = [job.name for job in jobs if _needs_cgroup(job)]
    step = "run jobd as root by its systemd unit (it asks for a delegated scope), on a host with cgroup v2"
    if containment is None:
        if asking:
            yield unknown("cgroup", f"{several(asking)} ask for limits of a cgroup; only a running jobd can tell", step)
        return
    if containment == "cgroup":
        yield ok("cgroup", "every attempt has a cgroup of its own")
    elif asking:
        yield bad("cgroup", f"no cgroup is delegated, and {several(asking)} ask for limits that need one", step)
    else:
        yield warning("cgroup", f"no cgroup is delegated: attempts are held by {containment} alone", step)


def _needs_cgroup(job: Job) -> bool:
    wanted = job.limits
    asks = any(value is not None for value in (wanted.memory, wanted.cpu, wanted.tasks, wanted.io))
    return asks and not wanted.best_effort

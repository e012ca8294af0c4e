"""Finds out who holds which role: the names of jobd.yaml become numbers when it is read."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Mapping

from jobd.core.roles import Holders, Role, Roles

EVERYBODY = "*"
Named = Mapping[Role, tuple[tuple[str, ...], tuple[str, ...]]]
"""Role → names of users and of groups, `*` being everybody."""


def resolve(named: Named, group: int | None) -> tuple[Roles, list[str]]:
    """Who holds each role, and a warning for each name that is unknown here and so grants nothing.

    A role that is not named is held as if `roles` had not been written at all: members of the control socket's `group`
    submit, everybody views, nobody operates.
    """
    roles: dict[Role, Holders] = {
        Role.VIEWER: Holders(everybody=True),
        Role.SUBMITTER: Holders(groups=frozenset(() if group is None else (group,))),
    }
    warnings: list[str] = []
    for role, (users, groups) in named.items():
        roles[role] = Holders(
            users=_numbers(users, _uid, f"roles.{role.name.lower()}: there is no user", warnings),
            groups=_numbers(groups, _gid, f"roles.{role.name.lower()}: there is no group", warnings),
            everybody=EVERYBODY in users or EVERYBODY in groups,
        )
    return roles, warnings


def _numbers(names: tuple[str, ...], number: Callable[[str], int], missing: str, warnings: list[str]) -> frozenset[int]:
    found = set()
    for name in names:
        if name == EVERYBODY:
            continue
        try:
            found.add(number(name))
        except KeyError:
            warnings.append(f"{missing} {name}, so nobody has the role by that name (create it, or mend jobd.yaml)")
    return frozenset(found)


def _uid(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _gid(name: str) -> int:
    return grp.getgrnam(name).gr_gid

"""What somebody is to jobd as a whole, and who is what, by the numbers the kernel gives a peer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """A higher role may do whatever a lower one may."""

    NOBODY = 0
    VIEWER = 1
    SUBMITTER = 2
    OPERATOR = 3
    ADMIN = 4


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds a role: users and groups by number, or everybody who can open the socket."""

    users: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()
    everybody: bool = False

    def include(self, uid: int, groups: Collection[int]) -> bool:
        """`groups`: the peer's own and its supplementary ones."""
        return self.everybody or uid in self.users or not self.groups.isdisjoint(groups)


Roles = Mapping[Role, Holders]


def role_of(uid: int, groups: Collection[int], roles: Roles, daemon_uid: int) -> Role:
    """The highest role of a peer; root and the user jobd runs as administer whatever else is said."""
    if uid in (0, daemon_uid):
        return Role.ADMIN
    held = (role for role, holders in roles.items() if holders.include(uid, groups))
    return max(held, default=Role.NOBODY)

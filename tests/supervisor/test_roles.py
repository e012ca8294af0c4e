"""Names of jobd.yaml as holders of roles, on this host."""

from __future__ import annotations

import grp
import pwd

from jobd.core.roles import Holders, Role
from jobd.supervisor.roles import resolve


def test_without_roles_the_sockets_group_submits_and_everybody_views() -> None:
    roles, warnings = resolve({}, 7)
    assert roles == {Role.VIEWER: Holders(everybody=True), Role.SUBMITTER: Holders(groups=frozenset({7}))}
    assert warnings == [] and resolve({}, None)[0][Role.SUBMITTER] == Holders()


def test_a_role_that_is_named_has_those_holders_and_no_others() -> None:
    user, group = pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name
    roles, warnings = resolve({Role.SUBMITTER: ((user,), (group,)), Role.VIEWER: ((), ())}, 7)
    assert roles == {Role.SUBMITTER: Holders(frozenset({0}), frozenset({0})), Role.VIEWER: Holders()}
    assert warnings == []


def test_a_name_that_is_unknown_grants_nothing_and_is_told() -> None:
    roles, warnings = resolve({Role.ADMIN: (("no-such-user",), ("no-such-group",))}, None)
    assert roles[Role.ADMIN] == Holders()
    assert [warning.partition(",")[0] for warning in warnings] == [
        "roles.admin: there is no user no-such-user",
        "roles.admin: there is no group no-such-group",
    ]

"""The table of who may do what, row by row."""

from __future__ import annotations

import pytest

from jobd.control.authorise import Deed, permits, require, require_command
from jobd.core.errors import NotPermitted
from jobd.core.intents import Actor
from jobd.core.roles import Holders, Role, role_of

GROUP = 500
ROLES = {Role.VIEWER: Holders(everybody=True), Role.SUBMITTER: Holders(groups=frozenset({GROUP}))}


def who(uid: int = 1000, *, gid: int = 1000, groups: tuple[int, ...] = (), daemon_uid: int = 0) -> Actor:
    return Actor(uid, gid, 1, f"user{uid}", role_of(uid, {gid, *groups}, ROLES, daemon_uid))


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (who(0), Role.ADMIN),
        (who(0, daemon_uid=77), Role.ADMIN),
        (who(77, daemon_uid=77), Role.ADMIN),
        (who(1000, gid=GROUP), Role.SUBMITTER),
        (who(1000, groups=(4, GROUP)), Role.SUBMITTER),
        (who(1000, groups=(4,)), Role.VIEWER),
        (who(GROUP), Role.VIEWER),
    ],
)
def test_a_peer_has_the_role_of_its_uid_and_groups(peer: Actor, expected: Role) -> None:
    assert peer.role is expected


def test_the_highest_role_counts_and_without_any_somebody_is_nobody() -> None:
    roles = {Role.VIEWER: Holders(groups=frozenset({7})), Role.OPERATOR: Holders(users=frozenset({1000}))}
    assert [role_of(uid, {gid}, roles, 0) for uid, gid in ((1000, 7), (1001, 7), (7, 1000))] == [
        Role.OPERATOR,
        Role.VIEWER,
        Role.NOBODY,
    ]


def test_the_owner_of_a_job_has_an_operators_rights_on_it_and_on_nothing_else() -> None:
    owner, stranger = who(1002), who(1003)
    for deed in (Deed.HOLD_JOB, Deed.ACT_ON_RUN, Deed.SEE_CONTENTS, Deed.SUBMIT, Deed.SEE_DEFINITION):
        assert permits(owner, deed, "root", job_owner="user1002") and not permits(stranger, deed, job_owner="user1002")
    assert not permits(owner, Deed.RELOAD, job_owner="user1002")


ADMIN, SUBMITTER, VIEWER = who(0), who(1000, gid=GROUP), who(1001)


@pytest.mark.parametrize(
    ("deed", "owner", "allowed"),
    [
        (Deed.VIEW, None, {ADMIN, SUBMITTER, VIEWER}),
        (Deed.SUBMIT, None, {ADMIN, SUBMITTER}),
        (Deed.SEE_CONTENTS, None, {ADMIN}),
        (Deed.SEE_CONTENTS, "user1000", {ADMIN, SUBMITTER}),
        (Deed.SEE_CONTENTS, "user1001", {ADMIN}),
        (Deed.ACT_ON_RUN, "somebody", {ADMIN}),
        (Deed.ACT_ON_RUN, "user1000", {ADMIN, SUBMITTER}),
        (Deed.SEE_DEFINITION, None, {ADMIN}),
        (Deed.RELOAD, None, {ADMIN}),
    ],
)
def test_each_deed_is_allowed_to_those_and_no_others(deed: Deed, owner: str | None, allowed: set[Actor]) -> None:
    assert {peer for peer in (ADMIN, SUBMITTER, VIEWER) if permits(peer, deed, owner)} == allowed


def test_a_refusal_says_who_may_not_do_what() -> None:
    with pytest.raises(NotPermitted, match=r"user1001 may not submit runs \(submitters may"):
        require(VIEWER, Deed.SUBMIT)


@pytest.mark.parametrize(
    ("peer", "adhoc", "daemon_uid", "allowed"),
    [
        (SUBMITTER, "submitter", 0, True),
        (VIEWER, "submitter", 0, False),
        (SUBMITTER, "operator", 0, False),
        (SUBMITTER, "admin", 0, False),
        (ADMIN, "admin", 0, True),
        (ADMIN, "off", 0, False),
        (SUBMITTER, "submitter", 77, False),
        (ADMIN, "submitter", 77, True),
        (who(77, daemon_uid=77), "submitter", 77, True),
    ],
)
def test_an_adhoc_command_never_runs_as_more_than_its_submitter(
    peer: Actor, adhoc: str, daemon_uid: int, allowed: bool
) -> None:
    if allowed:
        require_command(peer, adhoc, daemon_uid)
        return
    with pytest.raises(NotPermitted):
        require_command(peer, adhoc, daemon_uid)

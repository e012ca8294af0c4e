"""Whose ad-hoc commands are taken: those of users that this host can run them as."""

from __future__ import annotations

import os
import pwd
from datetime import UTC, datetime

import pytest

from jobd.control.ports import Policy
from jobd.control.requests import Intake
from jobd.core.errors import NotPermitted
from jobd.core.intents import Actor
from jobd.core.roles import Role

NOBODY = max(entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid < 2**31 - 10) + 7


def intake(uid: int, user: str, daemon_uid: int = 0) -> Intake:
    actor = Actor(uid, uid, 1, user, role=Role.SUBMITTER)
    return Intake(actor, {}, {}, Policy(), daemon_uid, datetime.now(UTC), 0, lambda _job, _payload: [])


def test_a_command_of_a_uid_without_an_account_is_refused_at_submit() -> None:
    with pytest.raises(NotPermitted, match=f"uid {NOBODY} has no account"):
        intake(NOBODY, str(NOBODY)).take({"command": ["id"]})


def test_a_command_of_a_user_with_an_account_runs_as_that_user() -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    made = intake(os.getuid(), name).take({"command": ["id"]})
    assert made is not None and made.job.user == name


def test_a_daemon_that_is_not_root_runs_its_own_commands_as_itself() -> None:
    made = intake(NOBODY, str(NOBODY), daemon_uid=NOBODY).take({"command": ["id"]})
    assert made is not None and made.job.user is None

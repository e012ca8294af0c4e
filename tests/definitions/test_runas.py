"""policy.run_as_allowed: users by name, groups by @name, and what a user has anyway."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from jobd.core.model import Command, Job
from jobd.definitions import runas

ME = pwd.getpwuid(os.geteuid())
MINE = grp.getgrgid(ME.pw_gid).gr_name
OTHERS = next(one.gr_name for one in grp.getgrall() if one.gr_gid not in os.getgrouplist(ME.pw_name, ME.pw_gid))


@pytest.mark.parametrize(
    ("user", "group", "allowed", "wrong"),
    [
        (ME.pw_name, OTHERS, ["*"], []),
        (None, None, [], []),
        (ME.pw_name, None, [ME.pw_name], []),
        (ME.pw_name, None, ["somebody-else"], ["user"]),
        (ME.pw_name, None, [f"@{MINE}"], []),
        (ME.pw_name, None, [MINE + "x", "@no-such-group"], ["user"]),
        (ME.pw_name, MINE, [ME.pw_name], []),
        (None, MINE, [], []),
        (ME.pw_name, OTHERS, [ME.pw_name], ["group"]),
        (None, OTHERS, [ME.pw_name], ["group"]),
        (ME.pw_name, OTHERS, [ME.pw_name, f"@{OTHERS}"], []),
        ("no-such-user", OTHERS, ["no-such-user"], ["group"]),
        ("no-such-user", None, [], ["user"]),
    ],
)
def test_what_a_job_may_run_as(user: str | None, group: str | None, allowed: list[str], wrong: list[str]) -> None:
    job = Job(name="a", action=Command(("true",)), user=user, group=group)
    found = list(runas.faults(job, allowed))
    assert [key for key, _ in found] == wrong
    assert all(message.startswith("policy.run_as_allowed does not allow ") for _, message in found)

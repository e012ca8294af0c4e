"""Who may do what: every path of the API by every role, for things of one's own, of others and that are not there.

One table says it; real users on a real socket try it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobd.control.app import routes
from jobd.core.roles import Holders, Role
from tests.control.desk import MemoryDesk, job, serving, submitted

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")
VIEWERS, SUBMITTERS, OPERATORS, ADMINS = 54401, 54402, 54403, 54404
NOBODY, VIEWER, SUBMITTER, OPERATOR, ADMIN = Role
UIDS = {role: 54410 + role for role in Role}
ROLES = {
    VIEWER: Holders(groups=frozenset({VIEWERS})),
    SUBMITTER: Holders(groups=frozenset({SUBMITTERS})),
    OPERATOR: Holders(users=frozenset({UIDS[OPERATOR]})),
    ADMIN: Holders(groups=frozenset({ADMINS})),
}
GROUPS = {NOBODY: (), VIEWER: (VIEWERS,), SUBMITTER: (VIEWERS, SUBMITTERS), OPERATOR: (), ADMIN: (ADMINS, VIEWERS)}
"""The supplementary groups of whoever has a role; nobody's primary group counts for anything here."""


@dataclass(frozen=True)
class Row:
    """The least role for what is somebody else's, for what one submitted oneself, for what concerns one's own job."""

    method: str
    path: str
    others: Role
    own: Role
    of_own_job: Role
    body: Any = None
    query: str = ""


def row(text: str, others: Role, own: Role | None = None, of_own_job: Role | None = None, **more: Any) -> Row:
    method, path = text.split()
    return Row(method, path, others, own or others, of_own_job or own or others, **more)


TABLE = [
    *(
        row(f"GET /v1/{path}", VIEWER)
        for path in ("openapi.json", "status", "health", "version", "jobs", "jobs/{name}", "next", "jobs/{name}/next")
    ),
    *(
        row(f"GET /v1/{path}", VIEWER)
        for path in ("slots", "runs", "runs/{id}", "runs/{id}/attempts", "runs/{id}/tree")
    ),
    *(row(f"GET /v1/{path}", VIEWER) for path in ("queues", "queues/{name}", "dead-letters", "dead-letters/stats")),
    *(row(f"GET /v1/{path}", VIEWER) for path in ("jobs/{name}/why", "runs/{id}/why", "workload", "stats", "events")),
    row("GET /v1/runs/{id}/wait", VIEWER, query="timeout=0"),
    row("GET /v1/runs/{id}/output", OPERATOR, SUBMITTER, VIEWER),
    row("POST /v1/runs", SUBMITTER, SUBMITTER, VIEWER, body={"job": "JOB"}),
    row("POST /v1/runs/{id}/cancel", OPERATOR, SUBMITTER, VIEWER),
    row("POST /v1/runs/{id}/kill", OPERATOR, SUBMITTER, VIEWER),
    row("POST /v1/runs/{id}/retry", OPERATOR, SUBMITTER, VIEWER),
    *(
        row(f"POST /v1/jobs/{{name}}/{verb}", OPERATOR, OPERATOR, VIEWER)
        for verb in ("pause", "resume", "skip-next", "cancel")
    ),
    *(row(f"POST /v1/queues/{{name}}/{verb}", OPERATOR) for verb in ("pause", "resume")),
    row("GET /v1/channels", VIEWER),
    row("POST /v1/channels/{name}/test", OPERATOR),
    row("PATCH /v1/queues/{name}", OPERATOR, body={"max_running": 4}),
    *(row(f"POST /v1/{verb}", OPERATOR) for verb in ("pause", "resume")),
    row("POST /v1/dead-letters/retry", SUBMITTER, SUBMITTER, VIEWER, body={"filter": {"job": "JOB"}}),
    row("DELETE /v1/dead-letters", SUBMITTER, SUBMITTER, VIEWER, query="job=JOB"),
    *(row(f"POST /v1/{verb}", ADMIN) for verb in ("reload", "prune", "backup", "drain")),
    *(row(f"GET /v1/{path}", ADMIN) for path in ("audit", "audit/verify")),
]
"""A submitter's part in dead letters is bounded to what they submitted (tests/control/test_dead.py)."""

CLIENT = """
import json, os, socket, sys
asked = json.load(sys.stdin)
os.setgroups(asked["groups"])
os.setresgid(asked["uid"], asked["uid"], asked["uid"])
os.setresuid(asked["uid"], asked["uid"], asked["uid"])
said = []
for method, target, body in asked["requests"]:
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(20)
    peer.connect(asked["socket"])
    head = f"{method} {target} HTTP/1.1\\r\\nHost: j\\r\\nConnection: close\\r\\n"
    head += f"Content-Length: {len(body)}\\r\\n\\r\\n"
    peer.sendall((head + body).encode())
    said.append(int(peer.recv(65536).split()[1]))
    peer.close()
print(json.dumps(said))
"""


def test_the_table_has_every_path_of_the_api() -> None:
    served = {(route.method, route.path) for route in routes() if route.answers != "problem"}
    assert {(row.method, row.path) for row in TABLE} == served


@pytest.fixture
def open_directory() -> Iterator[str]:
    made = tempfile.mkdtemp(prefix="jobd-test-")
    Path(made).chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_the_table_says_and_nothing_else(open_directory: str, role: Role) -> None:
    cases = [(row, whose) for row in TABLE for whose in ("others", "own", "of_own_job", "missing")]

    async def check() -> None:
        desk = MemoryDesk(roles=ROLES)
        path = f"{open_directory}/jobd.sock"
        async with serving(desk, path):
            os.chmod(path, 0o666)
            requests = [request(desk, row, whose, str(UIDS[role])) for row, whose in cases]
            asked = {"uid": UIDS[role], "groups": GROUPS[role], "socket": path, "requests": requests}
            said = await asyncio.to_thread(as_user, asked)
        wrong = {
            f"{row.method} {row.path} {whose}": status
            for (row, whose), status in zip(cases, said, strict=True)
            if (status == 403) != (role < least(row, whose))
        }
        assert wrong == {}

    asyncio.run(check())


def least(row: Row, whose: str) -> Role:
    """Runs and jobs are everybody's to see, so that what is not there is missing to all who may look at all.

    A job that is gone may have left runs that wait: these an operator alone may let go on or end.
    """
    if whose != "missing":
        return getattr(row, whose)  # type: ignore[no-any-return]
    is_gone = row.path.endswith(("/resume", "/cancel")) and "jobs" in row.path
    names_one = "{id}" in row.path or "/jobs/{name}" in row.path or row.path == "/v1/runs"
    return VIEWER if names_one and not is_gone else row.others


def request(desk: MemoryDesk, row: Row, whose: str, user: str) -> tuple[str, str, str]:
    names = {"others": "backup", "own": "backup", "of_own_job": "mine", "missing": "nothing"}
    desk.defined.setdefault("mine", job("mine", owner=user))
    desk.defined["mine"] = job("mine", owner=user)
    run = 999_999
    if whose != "missing":
        run = submitted(desk, names[whose], owner=user if whose == "own" else "root")
        desk.start_attempt(run)
        desk.write(run, b"out")
    path = row.path.format(id=run, name="default" if "queues" in row.path else names[whose])
    body = "" if row.body is None else json.dumps(row.body).replace("JOB", names[whose])
    return row.method, path + ("?" + row.query.replace("JOB", names[whose]) if row.query else ""), body


def as_user(asked: dict[str, Any]) -> list[int]:
    command = [sys.executable, "-I", "-c", CLIENT]
    child = subprocess.run(command, input=json.dumps(asked), capture_output=True, check=True, timeout=60, text=True)
    return json.loads(child.stdout)  # type: ignore[no-any-return]

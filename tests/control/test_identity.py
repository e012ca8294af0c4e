"""Who a peer is to jobd, with real users on a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobd.control import peers
from jobd.control.peers import identify
from jobd.control.ports import Policy
from jobd.core.intents import Noted, Submit
from jobd.supervisor.roles import resolve
from tests.control.desk import MemoryDesk, Reception, job, serving, submitted

GROUP = 54321
OWN = 54400
PYTHON = os.path.realpath(sys.executable)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")

ASK = """
import json, os, socket, sys
uid, groups, path, method, target, body = sys.argv[1:]
os.setgroups([int(group) for group in groups.split()])
os.setresgid(int(uid), int(uid), int(uid))
os.setresuid(int(uid), int(uid), int(uid))
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(10)
peer.connect(path)
head = f"{method} {target} HTTP/1.1\\r\\nHost: jobd\\r\\nConnection: close\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
answer = b""
try:
    peer.sendall((head + body).encode())
    while data := peer.recv(65536):
        answer += data
except ConnectionError:
    pass
head, _, body = answer.partition(b"\\r\\n\\r\\n")
print(json.dumps([int(head.split()[1]) if head else None, body.decode()]))
"""


@pytest.fixture
def open_directory() -> Iterator[str]:
    """A directory that every user can look into, as /run/jobd is."""
    made = tempfile.mkdtemp(prefix="jobd-test-")
    Path(made).chmod(0o755)
    yield made
    shutil.rmtree(made)


@dataclass
class Served:
    desk: MemoryDesk
    path: str
    reception: Reception

    async def ask(self, uid: int, method: str, target: str, body: Any = None, groups: tuple[int, ...] = ()) -> Any:
        """(status, document) for a request of a user; None for the status where nothing was answered."""
        text = "" if body is None else json.dumps(body)
        who = [str(uid), " ".join(map(str, groups))]
        command = [sys.executable, "-I", "-c", ASK, *who, self.path, method, target, text]
        child = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True, timeout=60)
        status, said = json.loads(child.stdout)
        return status, json.loads(said) if said[:1] in "{[" and said else said


def with_users(directory: str, check: Any) -> None:
    async def run() -> None:
        desk = MemoryDesk(roles=resolve({}, GROUP)[0])
        path = f"{directory}/jobd.sock"
        async with serving(desk, path) as reception:
            os.chmod(path, 0o666)
            await check(Served(desk, path, reception))

    asyncio.run(run())


def test_root_does_everything_a_member_submits_and_the_rest_reads(open_directory: str) -> None:
    async def check(it: Served) -> None:
        assert (await it.ask(0, "POST", "/v1/reload"))[0] == 200
        assert (await it.ask(OWN, "POST", "/v1/reload", groups=(GROUP,)))[0] == 403
        assert (await it.ask(OWN, "POST", "/v1/runs", {"job": "backup"}, groups=(GROUP,)))[0] == 201
        assert (await it.ask(OWN, "POST", "/v1/runs", {"job": "backup"}))[0] == 403
        assert (await it.ask(OWN, "GET", "/v1/status"))[0] == 200
        noted, intent = it.desk.intents
        assert isinstance(noted, Noted) and (noted.did, noted.actor.uid) == ("reload", 0)
        assert noted.actor.executable == PYTHON
        assert isinstance(intent, Submit)
        assert [what for _, what in it.desk.denials] == ["POST /v1/reload", "POST /v1/runs"]
        assert (intent.actor.uid, intent.actor.gid, intent.actor.user) == (OWN, OWN, str(OWN))

    with_users(open_directory, check)


def test_the_contents_of_a_run_are_its_owners_and_its_state_is_everybodys(open_directory: str) -> None:
    async def check(it: Served) -> None:
        mine = submitted(it.desk, owner=str(OWN), payload={"secret": 1}, key="k")
        other = submitted(it.desk, owner="root", payload={"secret": 2}, key="l")
        for run in (mine, other):
            it.desk.start_attempt(run)
            it.desk.write(run, b"out")
        _, runs = await it.ask(OWN, "GET", "/v1/runs", groups=(GROUP,))
        shown = {run["id"]: (run["payload"], run["key"], run["state"]) for run in runs["items"]}
        assert shown == {mine: ({"secret": 1}, "k", "running"), other: (None, None, "running")}
        status, output = await it.ask(OWN, "GET", f"/v1/runs/{mine}/output?stream=stdout", groups=(GROUP,))
        assert (status, output) == (200, "3\r\nout\r\n0\r\n\r\n")
        for method, target in [("GET", "output"), ("POST", "cancel"), ("POST", "retry")]:
            assert (await it.ask(OWN, method, f"/v1/runs/{other}/{target}", groups=(GROUP,)))[0] == 403
        assert (await it.ask(OWN, "POST", f"/v1/runs/{mine}/cancel", groups=(GROUP,)))[0] == 200

    with_users(open_directory, check)


def test_definitions_in_full_are_the_administrators(open_directory: str) -> None:
    async def check(it: Served) -> None:
        _, seen = await it.ask(OWN, "GET", "/v1/jobs/backup", groups=(GROUP,))
        assert "s3cret" not in json.dumps(seen)
        _, seen = await it.ask(0, "GET", "/v1/jobs/backup")
        assert seen["definition"]["env"] == {"TOKEN": "s3cret"}

    with_users(open_directory, check)


def test_an_adhoc_command_runs_as_its_submitter(open_directory: str) -> None:
    account = pwd.getpwnam("daemon")

    async def check(it: Served) -> None:
        it.desk.policy = Policy(defaults=job("x", user="postgres", group="postgres").job)
        assert (await it.ask(account.pw_uid, "POST", "/v1/runs", {"command": "id"}, groups=(GROUP,)))[0] == 201
        intent = it.desk.intents[0]
        assert isinstance(intent, Submit)
        assert (intent.requests[0].job.user, intent.requests[0].job.group) == ("daemon", None)
        assert (await it.ask(OWN, "POST", "/v1/runs", {"command": "id"}, groups=(GROUP,)))[0] == 403

    with_users(open_directory, check)


def test_whoever_submits_too_fast_is_refused_and_nobody_else(open_directory: str) -> None:
    async def check(it: Served) -> None:
        it.desk.policy = Policy(max_submits_per_second=2)
        batch = [{"job": "backup"}] * 50
        assert (await it.ask(OWN, "POST", "/v1/runs", batch, groups=(GROUP,)))[0] == 201
        status, refused = await it.ask(OWN, "POST", "/v1/runs", batch[0], groups=(GROUP,))
        assert status == 429 and "2 runs a second; come back in 2" in refused["detail"]
        assert (await it.ask(OWN + 1, "POST", "/v1/runs", batch[0], groups=(GROUP,)))[0] == 201
        assert (await it.ask(0, "POST", "/v1/runs", batch[0]))[0] == 201

    with_users(open_directory, check)


def test_a_user_whose_name_is_a_number_is_not_the_user_with_that_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = pwd.struct_passwd(("0", "x", OWN, OWN, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: entry)
    assert peers.Names().of(OWN) == str(OWN)


def test_many_groups_are_all_seen(open_directory: str) -> None:
    async def check(it: Served) -> None:
        for count in (200, 256, 900, 5000):
            groups = (*range(60000, 60000 + count), 2**32 - 2)
            assert (await it.ask(OWN, "POST", "/v1/runs", {"job": "backup"}, groups=groups))[0] == 403
            assert (await it.ask(OWN, "POST", "/v1/runs", {"job": "backup"}, groups=(*groups, GROUP)))[0] == 201

    with_users(open_directory, check)


def test_the_user_that_stands_for_nobody_gets_no_answer(open_directory: str) -> None:
    async def check(it: Served) -> None:
        assert await it.ask(peers.overflow_uid(), "GET", "/v1/version", groups=(GROUP,)) == (None, "")
        assert it.reception.refused == 1

    with_users(open_directory, check)


def test_a_peer_the_kernel_does_not_tell_about_is_nobody() -> None:
    with socket.socket(socket.AF_INET) as tcp:
        assert identify(tcp) is None
    with socket.socket(socket.AF_UNIX) as lonely:
        assert identify(lonely) is None


def test_the_identity_is_that_of_the_connect(open_directory: str) -> None:
    """A peer that changes its user after the connect stays who it was, as its rights were given then."""
    script = (
        "import os, socket, sys\n"
        "peer = socket.socket(socket.AF_UNIX)\npeer.connect(sys.argv[1])\n"
        "os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
        "peer.sendall(b'x'); peer.recv(1)\n"
    )
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{open_directory}/s")
        server.listen()
        child = subprocess.Popen([sys.executable, "-I", "-c", script, f"{open_directory}/s"])
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b"x"
            found = identify(connection)
            assert found is not None
            assert (found.uid, found.pid) == (0, child.pid)
        assert child.wait(10) == 0

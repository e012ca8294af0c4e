"""Whom jobs run as, through a whole daemon: one that is not root, and ad-hoc commands of those who submit them."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import ROOT, Host

NOBODY = 65534
NOT_ROOT = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    # The Python of the tests may lie where root alone gets.
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"),
)
JOBS = """
jobs:
  plain: {shell: "id -u; id -g; id -G"}
  other: {shell: "id -u", user: root}
  bounded: {shell: "true", limits: {memory: 64MiB}}
  modest: {shell: "true", limits: {memory: 64MiB, best_effort: true}}
  boxed:
    shell: "id -u; touch /tmp/jobd-of-its-own; tail -n +3 /proc/net/dev | cut -d: -f1"
    cwd: /
    sandbox: {private_tmp: true, no_network: true, no_new_privileges: true}
  strict: {shell: "true", sandbox: strict}
  method: {python: "json:dumps", isolate: true}
"""


@pytest.mark.slow
def test_a_daemon_that_is_not_root_runs_everything_as_itself_and_says_so(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 2}\ndrain_timeout: 5s\n")
    own = _without_root(host)
    host.define("jobs", JOBS)
    host.start()
    assert host.status()["runs_as"] == own
    assert f"Not root: every job runs as {own}" in host.log()
    uid = str(NOBODY if os.geteuid() == 0 else os.geteuid())
    ends = {job: _ended(host, job) for job in ("plain", "other", "bounded", "modest", "boxed", "strict", "method")}
    assert host.output(ends["plain"]["id"]).split()[0] == uid.encode()
    assert _refused(ends["other"]).startswith("only root can run a job as root:")
    assert "limits.memory cannot be applied" in _refused(ends["bounded"])
    assert ends["modest"]["state"] == "succeeded"
    assert "systemd" in _refused(ends["strict"]) or "root" in _refused(ends["strict"])
    assert (ends["method"]["state"], ends["method"]["result"]) == ("succeeded", "null"), ends["method"]
    if ends["boxed"]["state"] == "succeeded":
        assert host.output(ends["boxed"]["id"]).split() == [uid.encode(), b"lo"]
        assert not os.path.exists("/tmp/jobd-of-its-own")
    else:
        assert "this host lets no user but root have namespaces" in _refused(ends["boxed"])
    with host.client() as client:
        run = client.submit_command(["id", "-u"])
    assert host.ended(run)["state"] == "succeeded" and host.output(run).strip() == uid.encode()
    said = subprocess.run(host.command("--check"), cwd=ROOT, capture_output=True, text=True, check=True).stderr
    assert f"jobs.other.user: its runs will be refused: jobd is {own} and not root" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run commands as others")
def test_an_ad_hoc_command_runs_as_its_submitter_with_the_groups_of_the_database(make_host: MakeHost) -> None:
    """And not with those that the submitting process happens to have, be they more or fewer."""
    host = make_host('control: {mode: "0666"}\nroles: {submitter: {users: [daemon]}}\n')
    for place in (host.directory, host.directory / "run"):
        place.mkdir(exist_ok=True)
        place.chmod(0o755)
    host.start()
    other = pwd.getpwnam("daemon")
    uid, gid = other.pw_uid, other.pw_gid
    ask = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from jobd.client import Client; client = Client(sys.argv[2]);"
        f"client.status(); os.setgroups([4, 24]); os.setresgid({gid}, {gid}, {gid});"
        f"os.setresuid({uid}, {uid}, {uid}); client.close(); client = Client(sys.argv[2]);"
        "print(int(client.submit_command(['id', '-G'])))"
    )
    words = [sys.executable, "-c", ask, str(ROOT), host.socket]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    run = int(said.stdout)
    ended = host.ended(run)
    assert (ended["state"], ended["owner"]) == ("succeeded", "daemon"), ended
    assert sorted(map(int, host.output(run).split())) == sorted(os.getgrouplist("daemon", gid))


def _without_root(host: Host) -> str:
    """Have the daemon run as somebody who is not root; the name."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    if shutil.which("setpriv") is None:
        pytest.skip("this host has no setpriv")
    host.prefix = NOT_ROOT
    for place in (host.directory, host.jobs, host.scripts, host.config):
        os.chown(place, NOBODY, NOBODY)
    return pwd.getpwuid(NOBODY).pw_name


def _ended(host: Host, job: str) -> dict[str, Any]:
    with host.client() as client:
        return host.ended(client.submit(job))


def _refused(run: dict[str, Any]) -> str:
    assert (run["state"], run["exit_code"]) == ("failed", 126), json.dumps(run)
    return str(run["error"])

"""What goes wrong around jobd on a real systemd, and how it comes out of it."""

from __future__ import annotations

import json
import textwrap

import pytest

from tests.systemd.box import Service, waiting

pytestmark = [pytest.mark.systemd, pytest.mark.slow, pytest.mark.timeout(600)]

POISON = """
import os, signal
from jobd.core.executors import Executor

class Poison(Executor):
    def read(self, value):
        if value == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        return value

executor = Poison()
"""


def test_a_definition_that_jobd_dies_of_is_quarantined_after_two_restarts_and_all_else_goes_on(
    service: Service,
) -> None:
    box = service.box
    box.sh("mkdir -p /root/plugins/poison-1.dist-info; chmod 755 /root/plugins")
    box.write("/root/plugins/poison.py", textwrap.dedent(POISON))
    box.write("/root/plugins/poison-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: poison\nVersion: 1\n")
    box.write("/root/plugins/poison-1.dist-info/entry_points.txt", "[jobd.executors]\npoison = poison:executor\n")
    box.write("/root/plugged.yaml", "python_path: [/root/plugins]\n")
    service.override("config", "Environment=JOBD_CONFIG=/root/plugged.yaml")
    service.define("fine", waiting("fine"))
    box.do("systemctl", "restart", "jobd")
    run, _ = service.started("fine")
    box.write("/etc/jobd/jobs.d/planted.yaml", "jobs: {planted: {poison: deadly}}\n")
    box.until("systemctl show -P NRestarts jobd | grep -qx 2 && systemctl --quiet is-active jobd", seconds=60)
    told = "/etc/jobd/jobs.d/planted.yaml:1:1: is quarantined: jobd died 2 times in a row while reading this file"
    seen = json.loads(box.ask("jobd-ctl", "--json", "status").out)
    assert any(one.startswith(told) for one in seen["problems"])
    assert told in service.shows("StatusText")
    assert box.ask("jobd-ctl", "status").code == 1
    assert told in box.ask("jobd-ctl", "reload").err
    assert box.ask("systemctl", "reload", "jobd").code != 0
    service.let_end("fine")
    ended = service.ends(run)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 1), "it ran on through both deaths"
    service.define("planted", "jobs: {planted: {command: 'true'}}\n")
    assert service.ends(service.run("planted"))["state"] == "succeeded"


def test_a_second_jobd_ends_at_once_and_the_first_one_serves_on(service: Service) -> None:
    before = service.main_pid
    second = service.box.ask("jobd", seconds=20)
    assert second.code == 75
    assert "another jobd works in /var/lib/jobd" in second.err
    service.box.write("/root/other.yaml", "runtime_dir: /run/other\n")
    assert service.box.ask("jobd", "--config", "/root/other.yaml", seconds=20).code == 75, (
        "by the state directory alone"
    )
    assert service.main_pid == before == service.ctl("status")["pid"]


def test_a_daemon_whose_store_blocks_is_started_again_and_its_attempts_live(service: Service) -> None:
    service.override("watchdog", "WatchdogSec=2", "TimeoutAbortSec=1")
    service.define("long", waiting("long"))
    service.box.do("systemctl", "restart", "jobd")
    run, pid = service.started("long")
    before = service.main_pid
    # A store that does not answer: another process holds the file's write lock, and the next tick waits.
    holds = (
        "import sqlite3, time\n"
        "store = sqlite3.connect('/var/lib/jobd/jobd.db', isolation_level=None, timeout=30)\n"
        "store.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\ntime.sleep(6)\n"
    )
    service.box.write("/root/hold.py", holds)
    service.box.sh("python3 /root/hold.py >/root/held 2>&1 &")
    service.box.until("grep -q held /root/held")
    service.box.ask("timeout", "20", "jobd-ctl", "run", "long")
    service.is_started_anew(before, seconds=60)
    assert "Failed with result 'watchdog'" in service.box.do("journalctl", "--no-pager", "-u", "jobd")
    service.box.do("kill", "-0", str(pid))
    service.let_end("long")
    ended = service.ends(run)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 1)


def test_a_credential_of_the_unit_reaches_the_job_that_names_it_and_no_other(service: Service) -> None:
    service.box.write("/root/key", "s3cr3t-v4lue")
    service.override("credential", "LoadCredential=api-key:/root/key")
    service.box.do("systemctl", "restart", "jobd")
    shows = "cd ${CREDENTIALS_DIRECTORY:?none} && stat -c '%a %U' KEY && wc -c <KEY"
    named = {"shell": shows, "user": "nobody", "secrets": {"KEY": "credential:api-key"}}
    once = {"retry": {"max_attempts": 1}}
    wrong = {"shell": "true", "secrets": {"KEY": "credential:api-kee"}, **once}
    service.define(
        "credentials", json.dumps({"jobs": {"named": named, "other": {"shell": shows, **once}, "wrong": wrong}})
    )
    run = service.run("named")
    assert service.ends(run)["state"] == "succeeded"
    assert service.output(run) == ["400 nobody", "12"]
    assert service.ends(service.run("other"))["error"].startswith("exited with 2"), "it has no such directory"
    assert "api-kee" in service.ends(service.run("wrong"))["error"]
    assert "s3cr3t-v4lue" not in service.box.do("journalctl", "--no-pager", "-u", "jobd")

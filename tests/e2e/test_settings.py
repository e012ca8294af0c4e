"""jobd.yaml edited under a living daemon: a reload puts in force what can be, and names what cannot."""

from __future__ import annotations

import pytest

from jobd.core.errors import JobdError
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until

JOBS = "jobs:\n  held: {shell: 'while [ ! -e GO ]; do sleep 0.05; done', queue: mail}\n"


def running(host: Host) -> int:
    queue = next(one for one in host.status()["queues"] if one["name"] == "mail")
    return int(queue["processing"])


def test_a_queue_that_is_given_more_room_starts_more_runs_after_a_reload(make_host: MakeHost) -> None:
    host = make_host("queues: {mail: {max_running: 1}}\n")
    host.define("held", JOBS.replace("GO", str(host.directory / "go")))
    host.start()
    with host.client() as client:
        runs = [client.submit("held") for _ in range(3)]
    until(lambda: running(host) == 1)
    host.configure("queues: {mail: {max_running: 3}}\n")
    answer = host.ctl("reload")
    assert answer.returncode == 0, answer.stderr
    assert "changed jobd.yaml: queues" in answer.stdout
    until(lambda: running(host) == 3)
    (host.directory / "go").touch()
    for run in runs:
        assert host.ended(run)["state"] == "succeeded"


def test_a_broken_file_is_refused_with_its_place_and_what_was_in_force_stays(make_host: MakeHost) -> None:
    host = make_host("queues: {mail: {max_running: 1}}\n")
    host.start()
    host.configure("queues: {mail: {max_runing: 3}}\n")
    answer = host.ctl("reload")
    assert answer.returncode == 6
    assert "max_runing" in answer.stderr
    assert f"{host.config}:" in answer.stderr
    assert [one["reason"] for one in host.status()["degraded"]] == ["settings"]
    assert not host.status()["last_reload"]["ok"]
    host.configure("queues: {mail: {max_running: 3}}\n")
    assert host.ctl("reload").returncode == 0
    assert host.status()["healthy"]
    assert host.status()["last_reload"]["ok"]


def test_a_default_that_is_changed_holds_for_every_job_that_does_not_say_otherwise(make_host: MakeHost) -> None:
    host = make_host()
    host.define("two", "jobs:\n  a: {command: ['true']}\n  b: {command: ['true'], timeout: 1h}\n")
    host.start()
    host.configure("defaults: {timeout: 7s}\n")
    preview = host.ctl("reload", "--dry-run")
    assert "changed a\n" in preview.stdout
    assert host.ctl("reload").stdout.splitlines() == ["changed a", "changed jobd.yaml: defaults"]
    with host.client() as client:
        assert client.job("a")["definition"]["timeout"] == "7s"


def test_what_needs_a_start_is_named_until_then(make_host: MakeHost) -> None:
    host = make_host()
    host.start()
    host.configure("store: {synchronous: normal}\n")
    answer = host.ctl("reload")
    assert answer.returncode == 0
    assert "store.synchronous was changed and holds once jobd is restarted" in answer.stderr
    assert any("store.synchronous" in problem for problem in host.status()["problems"])
    host.end()
    host.start()
    assert host.status()["problems"] == []


def test_programs_that_are_allowed_no_more_are_not_run_by_workers_that_were_there(make_host: MakeHost) -> None:
    host = make_host()
    host.define("one", "jobs:\n  one: {command: [/bin/true]}\n")
    host.start()
    with host.client() as client:
        assert client.wait(client.submit_command(["/bin/true"]))["state"] == "succeeded"
        waiting = client.submit_command(["/bin/true"], run_at="2100-01-01T00:00:00Z")
        host.configure("shell_allowlist: [/bin/echo]\n")
        assert host.ctl("reload").returncode == 6, "a definition names a program that is allowed no more"
        with pytest.raises(JobdError, match="shell_allowlist"):
            client.submit_command(["/bin/true"])
        assert host.run(waiting)["state"] == "scheduled"
        assert client.wait(client.submit_command(["/bin/echo", "hello"]))["state"] == "succeeded"

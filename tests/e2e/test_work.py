"""What a user sees of jobd: jobs run on time, with their limits, and their output and results are there."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import datetime
from pathlib import Path

import pytest

from jobd.core.errors import Conflict, NotFound
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import ROOT, Host, is_alive, until

CALLABLES = """
import jobd, time
def answer(payload, context):
    print("hello from", context.job)
    return {"doubled": payload["n"] * 2, "attempt": context.attempt}
def again(payload, context):
    if context.attempt < 3: raise jobd.Retry(0.05)
    return context.attempt
def broken(payload): raise ValueError("no good")
def nap(payload): time.sleep(30)
"""


def metric(host: Host, name: str) -> float | None:
    """One sample of the metrics page, by its name and labels as they are printed."""
    address = host.status()["metrics_address"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
    return None


def names(host: Host) -> set[str]:
    with host.client() as client:
        return {job["name"] for job in client.jobs()}


def test_a_schedule_fires_every_second_and_each_slot_once(served: Host) -> None:
    served.define("tick", "jobs:\n  tick: {command: [echo, tick], schedule: every 1s}\n")

    def slots() -> list[dict[str, object]]:
        with served.client() as client:
            return [slot for slot in client.slots(job="tick") if slot["disposition"] == "started"]

    found = until(lambda: slots() if len(slots()) >= 3 else None)
    assert found is not None
    run = found[-1]["run"]
    assert isinstance(run, int)
    ended = served.ended(run)
    assert (ended["state"], ended["trigger"]) == ("succeeded", "schedule")
    assert served.output(run) == b"tick\n"
    late = [_seconds(served.run(int(str(one["run"])))) for one in found]
    assert max(late) < 0.5, late


def _seconds(run: dict[str, str]) -> float:
    return (datetime.fromisoformat(run["started_at"]) - datetime.fromisoformat(run["slot"])).total_seconds()


def test_output_and_exit_code_of_a_command_are_kept_apart(served: Host) -> None:
    with served.client() as client:
        run = client.submit_command(["sh", "-c", "echo out; echo err >&2; printf '\\377\\000'; exit 3"], max_attempts=1)
    ended = served.ended(run)
    assert (ended["state"], ended["outcome"], ended["exit_code"]) == ("failed", "failed", 3)
    assert served.output(run, "stdout") == b"out\n\xff\x00"
    assert served.output(run, "stderr") == b"err\n"


def test_a_failing_job_is_retried_until_it_succeeds(served: Host) -> None:
    served.define("flaky", "jobs:\n  flaky: {shell: 'test $JOBD_ATTEMPT = 3', retry: {base: 50ms, strategy: fixed}}\n")
    until(lambda: "flaky" in names(served))
    with served.client() as client:
        run = client.submit("flaky")
        ended = served.ended(run)
        assert (ended["state"], ended["attempts"]) == ("succeeded", 3)
        assert [one["outcome"] for one in client.attempts(run)] == ["failed", "failed", "succeeded"]


def test_a_job_that_overruns_is_killed_with_all_it_started(served: Host) -> None:
    script = "trap '' TERM; (trap '' TERM; sleep 60) & echo $! $$; sleep 60"
    words = f"{{shell: {json.dumps(script)}, timeout: 300ms, kill_after: 300ms}}"
    served.define("slow", f"jobs:\n  slow: {words}\n")
    until(lambda: "slow" in names(served))
    with served.client() as client:
        began = time.monotonic()
        run = client.submit("slow", max_attempts=1)
        ended = served.ended(run)
    # Long before anything else would have ended it; how soon is for the bench.
    assert time.monotonic() - began < 20
    assert (ended["state"], ended["outcome"], ended["exit_code"]) == ("failed", "timeout", 124), ended["error"]
    pids = [int(pid) for pid in served.output(run).split()]
    assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids)


def test_python_callables_give_results_ask_for_retries_and_fail(served: Host) -> None:
    served.script("called.py", CALLABLES)
    served.define(
        "calls",
        "jobs:\n" + "".join(f"  {name}: {{python: 'called:{name}'}}\n" for name in ("answer", "again", "broken"))
        + "  apart: {python: 'called:answer', isolate: true}\n  nap: {python: 'called:nap', timeout: 300ms}\n",
    )  # fmt: skip
    until(lambda: "nap" in names(served))
    with served.client() as client:
        answer, apart = client.submit("answer", {"n": 4}), client.submit("apart", {"n": 5})
        again, broken = client.submit("again"), client.submit("broken", max_attempts=1)
        nap = client.submit("nap", max_attempts=1)
    assert served.ended(answer)["result"] == {"doubled": 8, "attempt": 1}
    assert served.output(answer) == b"hello from answer\n"
    assert served.ended(apart)["result"] == {"doubled": 10, "attempt": 1}
    assert (served.ended(again)["state"], served.run(again)["attempts"]) == ("succeeded", 3)
    assert served.ended(broken)["error"].startswith("ValueError: no good")
    assert served.ended(nap)["outcome"] == "timeout"


def test_a_running_run_and_a_waiting_run_can_be_cancelled(served: Host) -> None:
    with served.client() as client:
        run = client.submit_command(["sleep", "61"])
        until(lambda: client.run(run)["state"] == "running")
        pid = until(lambda: _child(served))
        assert pid is not None
        later = client.submit_command(["true"], delay="1h")
        assert client.cancel(later) == "cancelled"
        client.cancel(run)
        ended = served.ended(run)
        assert (ended["state"], ended["outcome"]) == ("cancelled", "cancelled")
        assert not is_alive(pid)
        with pytest.raises(Conflict):
            client.cancel(run)
        with pytest.raises(NotFound):
            client.cancel(4711)


def _child(host: Host) -> int | None:
    found = [pid for pid, line in host.processes().items() if line.startswith("sleep 61")]
    return found[0] if found else None


def test_limits_of_queue_and_job_hold_under_many_runs(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 8}\nqueues: {narrow: {max_running: 2}}\n")
    log = host.directory / "concurrency"
    body = f"""
        import os, time
        def work(payload):
            def line(word):
                log = os.open({str(log)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.write(log, (word + " " + payload + "\\n").encode())
                os.close(log)
            line("+")
            time.sleep(0.02)
            line("-")
        """
    host.script("limits.py", body)
    host.define(
        "limits",
        """
        jobs:
          wide: {python: 'limits:work', payload: wide}
          narrow: {python: 'limits:work', payload: narrow, queue: narrow}
          single: {python: 'limits:work', payload: single, max_running: 1}
        """,
    )
    host.start()
    with host.client() as client:
        runs = client.submit_many({"job": name} for _ in range(40) for name in ("wide", "narrow", "single"))
        for run in runs:
            assert client.wait(run, 30)["state"] == "succeeded"
    most: dict[str, int] = {}
    now: dict[str, int] = {}
    for line in log.read_text().splitlines():
        sign, name = line.split()
        now[name] = now.get(name, 0) + (1 if sign == "+" else -1)
        most[name] = max(most.get(name, 0), now[name])
    assert most["single"] == 1
    assert most["narrow"] == 2
    assert 1 < most["wide"] <= 8
    assert set(now.values()) == {0}


# Hot reload


def test_dropped_changed_and_renamed_files_are_in_force_within_a_second(served: Host) -> None:
    path = served.define("moving", "jobs:\n  one: {command: [echo, '1']}\n")
    until(lambda: "one" in names(served))
    served.define("moving", "jobs:\n  one: {command: [echo, '2'], description: changed}\n")

    def description() -> str:
        with served.client() as client:
            return str(client.job("one")["description"])

    until(lambda: description() == "changed")
    path.rename(served.jobs / "moved.yaml")
    until(lambda: _file_of(served, "one").endswith("moved.yaml"))


def _file_of(host: Host, name: str) -> str:
    with host.client() as client:
        return str(client.job(name)["file"])


def test_a_deleted_file_is_out_of_force_within_two_seconds(served: Host) -> None:
    path = served.define("fleeting", "jobs:\n  fleeting: {command: ['true']}\n")
    until(lambda: "fleeting" in names(served))
    path.unlink()
    until(lambda: "fleeting" not in names(served))


def test_a_broken_file_keeps_its_last_good_jobs_and_shows(served: Host) -> None:
    served.define("a", "jobs:\n  kept: {command: [echo, good]}\n")
    served.define("b", "jobs:\n  beside: {command: ['true']}\n")
    until(lambda: {"kept", "beside"} <= names(served))
    served.define("a", "jobs:\n  kept: {comand: [echo, bad]}\n")
    problem = until(lambda: [text for text in served.status()["problems"] if "a.yaml" in text])[0]
    assert "comand" in problem
    assert "a.yaml:2:" in problem
    assert {"kept", "beside"} <= names(served)
    assert not served.status()["last_reload"]["ok"]
    assert metric(served, "jobd_definition_errors") == 1
    assert metric(served, "jobd_config_last_reload_successful") == 0
    with served.client() as client:
        assert served.output(served.ended(client.submit("kept"))["id"]) == b"good\n"
    served.define("a", "jobs:\n  kept: {command: [echo, mended]}\n")
    until(lambda: served.status()["last_reload"]["ok"])
    assert metric(served, "jobd_definition_errors") == 0


def test_a_reload_that_is_asked_for_answers_with_what_changed(served: Host) -> None:
    (served.jobs / "x.yaml").write_text("jobs:\n  late: {command: ['true']}\n")
    with served.client() as client:
        said = client.reload()
    assert "late" in said["added"] or "late" in names(served), "the watcher may have been quicker"
    assert said["problems"] == []


def test_sighup_reloads(served: Host) -> None:
    assert served.process is not None
    (served.jobs / "x.yaml").write_text("jobs:\n  hup: {command: ['true']}\n")
    served.process.send_signal(signal.SIGHUP)
    until(lambda: "hup" in names(served))


# Life of the served


def test_a_second_daemon_is_refused_and_touches_nothing(served: Host) -> None:
    before = sorted(path.name for path in (served.directory / "state").iterdir())
    second = subprocess.run(
        [sys.executable, "-m", "jobd.cli.daemon", "--config", str(served.config)],
        cwd=ROOT, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 75
    assert b"another jobd works in" in second.stderr
    assert sorted(path.name for path in (served.directory / "state").iterdir()) == before
    assert served.answers()


def test_sigterm_lets_running_work_finish_and_starts_nothing_more(daemon: Host) -> None:
    done = daemon.directory / "done"
    with daemon.client() as client:
        run = client.submit_command(["sh", "-c", f"sleep 0.7; touch {done}"])
        until(lambda: client.run(run)["state"] == "running")
    assert daemon.end() == 0
    assert done.exists()
    daemon.start()
    ended = daemon.ended(run)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 1)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_work_that_does_not_finish_in_time_is_given_back_and_run_after_the_restart(make_host: MakeHost) -> None:
    host = make_host("drain_timeout: 300ms\n")
    counted = host.directory / "counted"
    script = f"echo x >> {counted}; test $(wc -l < {counted}) -gt 1 || exec sleep 60"
    host.define("long", f"jobs:\n  long: {{shell: {json.dumps(script)}, kill_after: 300ms, max_running: 1}}\n")
    host.start()
    with host.client() as client:
        run = client.submit("long", max_attempts=1)
        until(counted.exists)
        behind = client.submit("long", max_attempts=1)
    assert host.end() == 0
    assert not [line for line in host.processes().values() if "sleep 60" in line]
    host.start()
    assert host.ended(run)["state"] == "succeeded", "its attempt was given back"
    assert host.ended(behind)["state"] == "succeeded"


@pytest.mark.slow
def test_a_second_sigterm_ends_it_at_once(make_host: MakeHost) -> None:
    host = make_host("drain_timeout: 60s\n").start()
    assert host.process is not None
    with host.client() as client:
        run = client.submit_command(["sleep", "60"])
        until(lambda: client.run(run)["state"] == "running")
    host.family()
    host.process.send_signal(signal.SIGTERM)
    until(lambda: "ending; 1 attempt under way" in host.log())  # two signals at the same time would be one
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(10) == 0
    until(lambda: not [line for line in host.processes().values() if "sleep 60" in line])


def test_a_disk_that_is_full_refuses_submits_and_recovers_by_itself(make_host: MakeHost) -> None:
    """A limit on the size of the daemon's files stands for the full disk; it is lifted from outside."""
    host = make_host().start()
    assert host.process is not None
    pid = host.process.pid
    wal = host.database.with_name("jobd.db-wal").stat().st_size
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (wal, hard))
    with host.client(1.0) as client:
        with pytest.raises(Exception):  # noqa: B017 - refused or without an answer, but never accepted
            client.submit_command(["true"], key="k")
        until(lambda: not client.status()["healthy"])
        assert client.runs() == []
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        until(lambda: client.status()["healthy"])
        run = client.submit_command(["true"], key="k")
        assert client.wait(run, 10)["state"] == "succeeded"
        assert len(client.runs()) == 1


def test_bad_settings_end_it_with_78_and_the_place(tmp_path: Path) -> None:
    config = tmp_path / "jobd.yaml"
    config.write_text("workers: {max: many}\n")
    done = subprocess.run(
        [sys.executable, "-m", "jobd.cli.daemon", "--config", str(config)],
        cwd=ROOT, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 78
    assert b"jobd.yaml:1:16: workers.max" in done.stderr

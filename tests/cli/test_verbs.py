"""The verbs of jobd-ctl against a daemon of flesh and blood."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
SETTINGS = """\
jobs_dirs: [jobs.d]
state_dir: state
runtime_dir: run
metrics: {listen: "127.0.0.1:0"}
workers: {max: 4}
"""
JOBS = """\
jobs:
  hello: {shell: 'echo "hello $JOBD_PAYLOAD"; echo aside >&2', payload: {name: world}}
  fails: {shell: 'echo broken >&2; exit 7', retry: {max_attempts: 1}}
  flaky:
    shell: 'echo "try $JOBD_ATTEMPT"; test "$JOBD_ATTEMPT" -ge 3'
    retry: {strategy: fixed, max_attempts: 3, base: 0.1s, jitter: 0}
  overrun: {command: [sleep, "600"], timeout: 1s, kill_after: 1s, retry: {max_attempts: 1}}
  long: {command: [sleep, "600"]}
  nightly: {command: ["true"], schedule: "30 2 * * *", timezone: Europe/Madrid}
"""
DEADLINE_SECONDS = 30.0


@dataclass
class Live:
    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def socket(self) -> str:
        return str(self.directory / "run" / "jobd.sock")

    def ctl(self, *args: str, timeout: float = DEADLINE_SECONDS) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "jobd.cli.ctl", "--socket", self.socket, *args]
        return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)

    def json(self, *args: str) -> Any:
        return json.loads(self.ctl("--json", *args).stdout)

    def write_jobs(self, text: str) -> None:
        part = self.directory / "jobs.d" / ".jobs.part"
        part.write_text(text)
        part.rename(self.directory / "jobs.d" / "jobs.yaml")


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with tempfile.TemporaryDirectory(prefix="jobd-") as name:
        directory = Path(name)
        (directory / "jobs.d").mkdir()
        (directory / "jobd.yaml").write_text(SETTINGS)
        program = [sys.executable, "-c", "from jobd.cli.daemon import main; main()"]
        arguments = ["--config", str(directory / "jobd.yaml")]
        log = (directory / "log").open("wb")
        process = subprocess.Popen([*program, *arguments], cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        made = Live(directory, process)
        made.write_jobs(JOBS)
        try:
            wait_until(lambda: answers(made), f"jobd listens (its log: {directory / 'log'})", process)
            yield made
        finally:
            stop(process)
            log.close()


def answers(live: Live) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(live.socket)
        return live.ctl("show", "hello").returncode == 0
    return False


def wait_until(is_so: Any, what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"gave up waiting until {what}"
        assert process is None or process.poll() is None, f"jobd ended with {process and process.returncode}"
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop what this test started; a second signal stops at once."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.kill(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10 if number == signal.SIGTERM else None)


def test_run_and_follow_passes_both_streams_and_the_payload(live: Live) -> None:
    done = live.ctl("run", "hello", "-p", "name=you", "--follow")
    assert done.returncode == 0
    assert json.loads(done.stdout.removeprefix("hello ")) == {"name": "you"}
    assert "aside" in done.stderr


def test_run_and_wait_exits_with_the_jobs_own_code(live: Live) -> None:
    assert live.ctl("run", "fails", "--max-attempts", "1", "--wait").returncode == 7


def test_a_timeout_exits_124(live: Live) -> None:
    assert live.ctl("run", "overrun", "--max-attempts", "1", "--wait").returncode == 124


def test_follow_goes_from_attempt_to_attempt_until_the_run_is_over(live: Live) -> None:
    done = live.ctl("run", "flaky", "--follow")
    assert (done.returncode, done.stdout) == (0, "try 1\ntry 2\ntry 3\n")


def test_submit_runs_a_command_and_logs_show_its_output(live: Live) -> None:
    run = live.ctl("submit", "--", "printf", "%s|", "a b", "$HOME").stdout.strip()
    assert live.ctl("wait", run).returncode == 0
    assert live.ctl("logs", run).stdout == "a b|$HOME|"


def test_a_command_that_is_not_there_exits_127(live: Live) -> None:
    assert live.ctl("submit", "--wait", "--", "no-such-program-anywhere").returncode == 127


def test_a_key_keeps_the_first_run(live: Live) -> None:
    first, second = live.ctl("run", "hello", "--key", "once"), live.ctl("run", "hello", "--key", "once")
    assert (first.returncode, second.returncode) == (0, 10)
    assert first.stdout == second.stdout


def test_a_batch_is_accepted_as_a_whole_or_not_at_all(live: Live) -> None:
    good = live.directory / "good.jsonl"
    good.write_text('{"job": "hello"}\n{"command": ["true"]}\n')
    ids = live.ctl("submit", "--batch", str(good)).stdout.split()
    assert live.ctl("wait", *ids).returncode == 0
    bad = live.directory / "bad.jsonl"
    bad.write_text('{"job": "hello"}\n{"job": "nope"}\n')
    before = live.json("runs", "-n", "1")["items"][0]["id"]
    assert live.ctl("submit", "--batch", str(bad)).returncode == 2
    assert live.json("runs", "-n", "1")["items"][0]["id"] == before


def test_cancel_ends_a_running_run_and_wait_tells(live: Live) -> None:
    run = live.ctl("run", "long").stdout.strip()
    wait_until(lambda: live.json("show", run)["state"] == "running", "the run is running")
    assert live.ctl("cancel", run).returncode == 0
    assert live.ctl("wait", run).returncode in (125, 130, 137, 143)
    assert live.json("show", run)["state"] == "cancelled"


def test_retry_runs_a_failed_run_again(live: Live) -> None:
    run = live.ctl("run", "fails", "--max-attempts", "1").stdout.strip()
    assert live.ctl("wait", run).returncode == 7
    assert live.ctl("retry", run).returncode == 0
    live.ctl("wait", run)
    assert len(live.json("attempts", run)["items"]) == 2


def test_status_lists_the_jobs_and_their_next_slots(live: Live) -> None:
    done = live.ctl("status")
    assert done.returncode == 0, done
    assert all(name in done.stdout for name in ("hello", "fails", "nightly"))
    seen = {job["name"]: job for job in live.json("status")["jobs"]}
    assert seen["nightly"]["next_at"] == live.json("next", "nightly", "-n", "1")["items"][0]["at"]


def test_status_of_a_job_whose_last_run_failed_exits_1(live: Live) -> None:
    live.ctl("run", "fails", "--max-attempts", "1", "--wait")
    assert live.ctl("status", "fails").returncode == 1
    assert live.ctl("status", "nosuchjob").returncode == 4


def test_logs_of_a_job_follow_it_live(live: Live) -> None:
    gate = live.directory / "gate"
    script = f"echo first; until test -e {gate}; do sleep 0.05; done; echo last"
    run = live.ctl("submit", "--", "sh", "-c", script).stdout.strip()
    program = [sys.executable, "-m", "jobd.cli.ctl", "--socket", live.socket, "logs", "-f", run]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE) as follower:
        timer = threading.Timer(DEADLINE_SECONDS, follower.kill)
        timer.start()
        assert follower.stdout
        assert follower.stdout.readline() == b"first\n"
        gate.touch()
        assert follower.stdout.readline() == b"last\n"
        assert follower.wait() == 0
        timer.cancel()


def test_cat_and_show_tell_where_a_job_comes_from(live: Live) -> None:
    assert "jobs.yaml:" in live.ctl("cat", "nightly").stdout
    assert "Europe/Madrid" in live.ctl("show", "nightly").stdout


def test_why_names_the_reason_and_slots_the_history(live: Live) -> None:
    assert live.json("why", "nightly")["reason"] == "not_due"
    assert live.json("why", "long")["reason"] in ("no_schedule", "running")
    assert live.json("why", "nightly", "--at", "2020-01-01T02:30")["reason"] == "before_first_seen"
    at = live.json("next", "nightly", "-n", "1")["items"][0]["at"]
    asked = live.json("why", "nightly", "--at", at)
    assert (asked["reason"], asked["until"]) == ("due", at)
    run = live.ctl("run", "hello", "--wait").returncode
    latest = str(live.json("runs", "--job", "hello", "-n", "1")["items"][0]["id"])
    assert run == 0 and live.json("why", latest)["reason"] == "succeeded"
    later = live.ctl("run", "hello", "--in", "1h").stdout.strip()
    assert f"run {later}: scheduled" in live.ctl("why", later).stdout
    assert live.ctl("cancel", later).returncode == 0
    assert [live.ctl("why", *words).returncode for words in (["nosuchjob"], ["99999999"])] == [4, 4]
    assert live.ctl("why", "nightly", "--at", "soon").returncode == 2
    assert live.ctl("slots", "nightly").returncode == 0
    assert "nightly" in live.ctl("next").stdout


def test_a_job_that_a_broken_file_never_brought_into_force_is_explained(live: Live) -> None:
    live.write_jobs(JOBS + "  wrong: {command: [date], tiemout: 3s}\n")
    live.ctl("reload")
    assert live.json("why", "wrong")["reason"] == "definition_broken"
    assert live.json("why", "nightly")["reason"] == "definition_broken"
    live.write_jobs(JOBS)
    assert live.ctl("reload").returncode == 0


def test_simulate_goes_by_the_runs_there_were(live: Live) -> None:
    assert live.ctl("run", "hello", "--wait").returncode == 0
    found = live.json("simulate", "nightly", "--to", "3d")
    assert [(job["job"], job["slots"], job["started"]) for job in found["jobs"]] == [("nightly", 3, 3)]


def test_queues_and_health_answer(live: Live) -> None:
    assert "default" in live.ctl("queues").stdout
    assert live.ctl("health").returncode == 0
    found = live.json("health", "--queue", "default")
    assert {"retry_strategy", "retry_max", "dead_letter_queue", "rate_limits"} <= found["configuration"].keys()
    assert [*found["queues"]] == ["default"]
    assert found["queues"]["default"]["status"].keys() == {"pending", "processing", "completed", "failed"}
    assert live.ctl("health", "--queue", "nowhere").returncode == 4


def test_reload_says_what_changed_and_keeps_the_old_jobs_of_a_broken_file(live: Live) -> None:
    live.write_jobs(JOBS + "  added: {command: [date]}\n")
    live.ctl("reload")
    assert live.ctl("show", "added").returncode == 0
    live.write_jobs(JOBS + "  added: {command: [date], tiemout: 3s}\n")
    broken = live.ctl("reload")
    assert broken.returncode == 6
    assert "jobs.yaml:" in broken.stderr and "timeout" in broken.stderr
    assert live.ctl("show", "added").returncode == 0
    live.write_jobs(JOBS)
    assert live.ctl("reload").returncode == 0


def test_status_reads_nothing_that_takes_long_to_read(live: Live) -> None:
    """What makes it feel instant: none of the heavy libraries is imported (how long it takes is for the bench)."""
    heavy = "aiohttp apsw asyncio pydantic psutil rich watchfiles yaml zoneinfo croniter"
    program = (
        "import sys; from jobd.cli.ctl import outcome; code = outcome(sys.argv[1:]); "
        f"print(sorted(set('{heavy}'.split()) & set(sys.modules)), code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--socket", live.socket, "status"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == "[] 0"


def test_a_dead_letter_is_listed_retried_and_dropped(live: Live) -> None:
    run = live.json("run", "fails", "--wait")["id"]
    assert [one["run"] for one in live.json("dead", "list", "--job", "fails")["items"]].count(run) == 1
    assert "exited with 7" in live.ctl("dead", "show", str(run)).stdout
    assert live.json("dead", "retry", str(run), "--dry-run")["runs"] == [run]
    assert live.json("dead", "retry", str(run))["runs"] == [run]
    live.ctl("wait", str(run))
    assert f"run {run} dropped" in live.ctl("dead", "drop", str(run)).stdout
    shown = live.json("dead", "show", str(run))["dead_letters"]
    assert [one["action"] for one in shown] == ["retried", "dropped"]
    assert live.ctl("dead", "drop").returncode == 2


def test_a_paused_job_waits_says_why_and_goes_on_when_resumed(live: Live) -> None:
    assert "is paused" in live.ctl("pause", "hello", "--until", "1h", "--note", "a test").stdout
    try:
        run = live.json("run", "hello")["id"]
        assert live.json("show", str(run))["state"] == "queued"
        assert "paused" in live.ctl("status").stdout
        reason = live.json("why", str(run))
        assert (reason["reason"], "a test" in reason["detail"]) == ("paused", True)
    finally:
        live.ctl("resume", "hello")
    assert live.ctl("wait", str(run)).returncode == 0


def test_a_slot_to_come_is_skipped_and_shown_so(live: Live) -> None:
    said = live.json("skip-next", "nightly")
    first = live.json("next", "nightly", "-n", "1")["items"][0]
    assert first["at"] == said["slots"][0]
    assert "skip" in first["remark"]
    assert live.json("skip-next", "nightly", "--undo")["slots"] == said["slots"]


def test_jobs_are_paused_also_where_one_of_them_is_unknown(live: Live) -> None:
    done = live.ctl("pause", "hello", "no-such-job", "nightly")
    assert (done.returncode, "no-such-job" in done.stderr) == (4, True)
    assert live.ctl("resume", "hello", "nightly").stdout.split("\n")[:2] == [
        "hello is not paused",
        "nightly is not paused",
    ]


def test_everything_can_be_paused_and_a_queue(live: Live) -> None:
    live.ctl("pause", "--all")
    assert "everything is paused" in live.ctl("status").stdout
    live.ctl("resume", "--all")
    live.ctl("pause", "--queue", "default", "--note", "for a test")
    assert "for a test" in live.ctl("status").stdout
    live.ctl("resume", "--queue", "default")
    assert live.ctl("pause").returncode == 2


def test_every_run_of_a_job_is_cancelled(live: Live) -> None:
    runs = [live.json("run", "long")["id"] for _ in range(3)]
    assert "3 runs of long are cancelled" in live.ctl("cancel", "--job", "long").stdout
    for run in runs:
        assert live.ctl("wait", str(run)).returncode != 0


def test_the_audit_trail_says_who_changed_what_and_that_it_is_whole(live: Live) -> None:
    run = live.json("run", "long")["id"]
    live.ctl("cancel", str(run))
    live.ctl("cancel", str(run))
    live.ctl("reload")
    entries = live.json("audit", "-n", "4")["items"]
    assert [one["did"] for one in entries][:2] == ["reload", "cancel-run"]
    mine = [one for one in entries if one["on"] in (f"runs {run}", f"run {run}")]
    assert [one["did"] for one in mine][-2:] == ["cancel-run", "submit"]
    assert {(one["uid"], one["executable"]) for one in entries} == {(os.geteuid(), os.path.realpath(sys.executable))}
    verified = live.ctl("audit", "--verify")
    assert verified.returncode == 0 and "the trail is whole" in verified.stdout
    assert f"runs {run}" in live.ctl("audit").stdout

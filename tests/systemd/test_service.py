"""jobd under a real systemd, as installed."""

from __future__ import annotations

import json

import pytest

from jobd.core.escapes import visible
from tests.hostile import PAYLOADS
from tests.systemd.box import Box, Service, waiting

pytestmark = [pytest.mark.systemd, pytest.mark.slow, pytest.mark.timeout(600)]

ESCAPED = """
trap "" TERM
setsid -f sh -c '(trap "" TERM; setsid sleep 98761 &); exec sleep 98762'
sleep 98763
sleep 98764
"""


def test_systemd_finds_nothing_wrong_with_the_unit(box: Box) -> None:
    said = box.ask("systemd-analyze", "verify", "jobd.service")
    assert (said.code, said.err) == (0, "")


def test_start_returns_once_jobd_serves_and_says_how_it_is(service: Service) -> None:
    service.box.do("systemctl", "restart", "jobd")
    assert service.ctl("status")["pid"] == service.main_pid
    assert service.shows("StatusText") == "0 jobs in force"
    assert service.shows("ActiveState") == "active"
    assert service.box.do("stat", "-c", "%U:%G %a", "/run/jobd/jobd.sock") == "root:jobd 660"


def test_a_start_that_cannot_work_fails_and_says_why(service: Service) -> None:
    service.box.do("systemctl", "stop", "jobd")
    service.box.write("/root/broken.yaml", "drain_timeout: soon\n")
    service.override("config", "Environment=JOBD_CONFIG=/root/broken.yaml")
    assert service.box.ask("systemctl", "start", "jobd").code != 0
    assert service.shows("ActiveState") == "failed"
    assert "/root/broken.yaml:1:" in service.box.do("journalctl", "--no-pager", "-u", "jobd", "-n", "20")


def test_a_dropped_file_runs_within_seconds_and_the_journal_knows_whose_words_are_whose(service: Service) -> None:
    service.box.write("/etc/jobd/jobs.d/dropped.yaml", 'jobs: {dropped: {command: "true", schedule: every 1s}}\n')
    service.box.until('jobd-ctl runs --job dropped --state succeeded 2>/dev/null | grep -q " dropped "', seconds=30)
    entry = json.loads(service.box.do("journalctl", "JOBD_JOB=dropped", "-o", "json", "-n", "1"))
    assert entry["_SYSTEMD_UNIT"] == "jobd.service"
    assert entry["JOBD_OUTCOME"] == "succeeded"


def test_reload_returns_once_the_new_definitions_are_in_force(service: Service) -> None:
    names = [f"many-{number}" for number in range(200)]
    service.box.write("/etc/jobd/jobs.d/many.yaml", json.dumps({"jobs": {name: {"command": "true"} for name in names}}))
    service.box.do("systemctl", "reload", "jobd")
    assert len(service.ctl("jobs")["items"]) == 200
    assert service.shows("ActiveState") == "active"
    assert service.shows("StatusText") == "200 jobs in force"


def test_reload_of_a_broken_file_fails_with_the_place_and_keeps_the_old_definitions(service: Service) -> None:
    service.define("kept", "jobs: {kept: {command: 'true'}}\n")
    service.box.write("/etc/jobd/jobs.d/kept.yaml", "jobs: {kept: {command: 'true', timeout: soon}}\n")
    assert service.box.ask("systemctl", "reload", "jobd").code != 0
    asked = service.box.ask("jobd-ctl", "reload")
    assert asked.code == 6
    assert "/etc/jobd/jobs.d/kept.yaml:1:" in asked.err
    assert service.ends(service.run("kept"))["state"] == "succeeded"
    assert service.shows("ActiveState") == "active"


def test_a_running_attempt_survives_a_restart_with_its_outcome_and_its_output(service: Service) -> None:
    service.define("long", waiting("long"))
    run, pid = service.started("long")
    before = service.main_pid
    service.box.do("systemctl", "restart", "jobd")
    assert service.main_pid != before
    _goes_on_to_its_end(service, "long", run, pid)


def test_a_running_attempt_survives_a_kill_of_the_daemon(service: Service) -> None:
    service.define("long", waiting("long"))
    run, pid = service.started("long")
    before = service.main_pid
    service.box.do("kill", "-KILL", str(before))
    service.is_started_anew(before)
    assert service.shows("NRestarts") == "1"
    _goes_on_to_its_end(service, "long", run, pid)


def _goes_on_to_its_end(service: Service, job: str, run: int, pid: int) -> None:
    attempt = service.ctl("attempts", str(run))["items"][0]
    assert attempt["pid"] == pid
    assert attempt["outcome"] is None
    service.box.do("kill", "-0", str(pid))
    service.let_end(job)
    ended = service.ends(run)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 1)
    assert service.output(run) == ["begun", "ended"]


def test_an_attempt_that_ends_while_no_daemon_runs_is_reported_to_the_next_one(service: Service) -> None:
    service.define("long", waiting("long"))
    run, pid = service.started("long")
    before = service.main_pid
    service.box.sh(f"kill -STOP {before}; touch /root/long.go; while kill -0 {pid} 2>/dev/null; do sleep 0.05; done")
    service.box.do("kill", "-KILL", str(before))
    service.is_started_anew(before)
    ended = service.ends(run)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 1)
    assert service.output(run) == ["begun", "ended"]


def test_a_stop_waits_for_what_runs_and_leaves_nothing_behind(service: Service) -> None:
    service.define("long", waiting("long"))
    run, _ = service.started("long")
    service.box.do("systemctl", "stop", "--no-block", "jobd")
    service.box.until("systemctl show -P StatusText jobd | grep -q draining")
    service.let_end("long")
    service.box.until("systemctl show -P ActiveState jobd | grep -qx inactive")
    assert service.shows("Result") == "success"
    service.is_clean()
    service.box.do("systemctl", "start", "jobd")
    assert service.ctl("show", str(run))["state"] == "succeeded"


def test_a_stop_ends_what_will_not_end_and_the_next_start_runs_it_again(service: Service) -> None:
    _drains_for_a_second(service)
    service.define("stubborn", waiting("stubborn", kill_after="1s"))
    service.box.do("systemctl", "restart", "jobd")
    run, pid = service.started("stubborn")
    service.box.do("systemctl", "restart", "jobd")
    service.box.do("systemctl", "stop", "jobd", seconds=20)
    assert service.box.ask("kill", "-0", str(pid)).code != 0
    service.is_clean()
    service.let_end("stubborn")
    service.box.do("systemctl", "start", "jobd")
    assert service.ends(run)["state"] == "succeeded"
    outcomes = [attempt["outcome"] for attempt in service.ctl("attempts", str(run))["items"]]
    assert sorted(outcomes) == ["interrupted", "succeeded"]


def test_a_stop_leaves_detached_attempts_running_for_the_next_start(service: Service) -> None:
    _drains_for_a_second(service)
    service.define("apart", waiting("apart", on_shutdown="detach"))
    service.box.do("systemctl", "restart", "jobd")
    run, pid = service.started("apart")
    service.box.do("systemctl", "stop", "jobd")
    service.box.do("kill", "-0", str(pid))
    service.let_end("apart")
    service.is_clean()
    service.box.do("systemctl", "start", "jobd")
    ended = service.ends(run)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 1)


def test_a_job_that_wants_to_be_waited_for_is_ended_before_the_patience_of_systemd_is(service: Service) -> None:
    _drains_for_a_second(service)
    service.override("patience", "TimeoutStopSec=18s")
    service.define("slow", waiting("slow", on_shutdown="wait"))
    service.box.do("systemctl", "restart", "jobd")
    run, pid = service.started("slow")
    service.box.do("systemctl", "stop", "jobd", seconds=25)
    assert service.shows("Result") == "success"
    assert service.box.ask("kill", "-0", str(pid)).code != 0
    service.is_clean()
    service.box.do("systemctl", "start", "jobd")
    assert service.ctl("attempts", str(run))["items"][0]["outcome"] == "interrupted"


def _drains_for_a_second(service: Service) -> None:
    service.box.write("/root/quick.yaml", "drain_timeout: 1s\n")
    service.override("config", "Environment=JOBD_CONFIG=/root/quick.yaml")


def test_attempts_are_contained_by_cgroups_so_that_no_escape_outlives_a_timeout(service: Service) -> None:
    assert service.ctl("status")["containment"] == "cgroup"
    definition = {"shell": ESCAPED, "timeout": "1s", "kill_after": "1s", "retry": {"max_attempts": 1}}
    service.define("escape", json.dumps({"jobs": {"escape": definition}}))
    run = service.run("escape")
    service.box.until("test $(pgrep -fc '^sleep 9876') = 3")
    assert service.ends(run)["outcome"] == "timeout"
    assert service.box.ask("pgrep", "-af", "^sleep 9876").out == ""


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_a_sandbox_holds_and_the_job_still_finds_the_journal_and_its_files(service: Service, user: str) -> None:
    sandbox = {"private_tmp": True, "read_only_root": True, "no_network": True, "no_new_privileges": True}
    ways = (
        "logger -t sandboxed said || echo no journal; echo '{\"n\": 1}' > $JOBD_RESULT_FILE;"
        "touch /tmp/mine && echo tmp;"
        "touch /escaped /etc/escaped /run/escaped /sys/fs/cgroup/escaped; mkdir /sys/fs/cgroup/escaped;"
        "mount -o remount,rw /; unshare -Urm mount -o remount,rw,bind /; nsenter -t 1 -m touch /escaped;"
        "echo 0 > /proc/sys/kernel/printk; tail -n +3 /proc/net/dev | cut -d: -f1"
    )
    job = {"shell": f"exec 2>/dev/null; {ways}", "user": user, "cwd": "/", "sandbox": sandbox}
    service.define("boxed", json.dumps({"jobs": {"boxed": job}}))
    run = service.run("boxed")
    ended = service.ends(run)
    assert (ended["state"], ended["result"], ended["error"]) == ("succeeded", {"n": 1}, None)
    assert [line.strip() for line in service.output(run)] == ["tmp", "lo"]
    service.box.sh("! ls -d /escaped /etc/escaped /run/escaped /sys/fs/cgroup/escaped /tmp/mine 2>/dev/null")
    service.box.until("journalctl -t sandboxed | grep -q said")


def test_a_daemon_that_hangs_is_started_again_and_one_that_idles_is_not(service: Service) -> None:
    """B23."""
    service.override("watchdog", "WatchdogSec=2", "TimeoutAbortSec=1")
    service.define("long", waiting("long"))
    service.box.do("systemctl", "restart", "jobd")
    run, pid = service.started("long")
    before = service.main_pid
    idle_until = float(service.box.do("cut", "-d ", "-f1", "/proc/uptime")) + 5
    service.box.until(f'test "$(cut -d. -f1 /proc/uptime)" -ge {idle_until:.0f}')
    assert service.main_pid == before
    service.box.do("kill", "-STOP", str(before))
    service.is_started_anew(before)
    assert "Failed with result 'watchdog'" in service.box.do("journalctl", "--no-pager", "-u", "jobd")
    _goes_on_to_its_end(service, "long", run, pid)


def test_a_job_cannot_speak_for_the_service(service: Service) -> None:
    """B12."""
    forged = "NOTIFY_SOCKET=/run/systemd/notify systemd-notify --status=forged STOPPING=1 MAINPID=$$"
    service.define("forger", json.dumps({"jobs": {"forger": {"shell": forged}}}))
    service.ends(service.run("forger"))
    assert service.shows("StatusText") == "1 job in force"
    assert service.shows("SubState") == "running"


def test_jobs_are_no_better_protected_than_other_programs(service: Service) -> None:
    service.define("plain", json.dumps({"jobs": {"plain": {"shell": "cat /proc/self/oom_score_adj; umask; env"}}}))
    run = service.run("plain")
    assert service.ends(run)["state"] == "succeeded"
    adjustment, umask, *environment = service.output(run)
    assert (adjustment, umask) == ("0", "0022")
    ours = ("NOTIFY_", "WATCHDOG_", "INVOCATION_", "JOURNAL_", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "LISTEN_")
    (notify,) = [line for line in environment if line.startswith(ours)]
    assert notify == f"NOTIFY_SOCKET=/run/jobd/attempts/{run}.1/notify", "the attempt's own, and not the daemon's"


def test_when_the_host_goes_down_the_service_drains_before_its_workers_are_ended(service: Service) -> None:
    service.define("long", waiting("long"))
    run, _ = service.started("long")
    workers = service.box.sh("systemctl list-units --no-legend --plain 'run-r*.service' | cut -d' ' -f1")
    service.box.do("systemctl", "stop", "--no-block", "jobd.service", workers)
    service.box.until("systemctl show -P StatusText jobd | grep -q draining")
    service.let_end("long")
    service.box.until("systemctl show -P ActiveState jobd | grep -qx inactive")
    service.box.do("systemctl", "start", "jobd")
    assert service.ctl("show", str(run))["state"] == "succeeded"


def test_with_the_socket_unit_nobody_is_refused_while_jobd_restarts(service: Service) -> None:
    service.box.sh("systemctl stop jobd; systemctl start jobd.socket jobd.service")
    asking = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do jobd-ctl version >/dev/null || exit 1; done"
    service.box.sh(f"({asking}) & asked=$!; systemctl restart jobd; systemctl restart jobd; wait $asked")
    assert service.box.do("stat", "-c", "%U:%G %a", "/run/jobd/jobd.sock") == "root:jobd 660"


SAYS = """
import jobd
def gives_up(payload): raise jobd.Discard(bytes.fromhex(payload).decode())
"""


def test_what_happens_is_one_record_that_the_journal_finds_by_its_fields(service: Service) -> None:
    """Also where a job says what would be another record, or another field of this one."""
    service.box.sh("mkdir -p /usr/local/lib/jobd-test")
    service.box.write("/usr/local/lib/jobd-test/says_it.py", SAYS)
    service.box.write("/root/says.yaml", "python_path: [/usr/local/lib/jobd-test]\n")
    service.override("config", "Environment=JOBD_CONFIG=/root/says.yaml")
    service.box.do("systemctl", "restart", "jobd")
    service.define("says", "jobs: {says: {python: 'says_it:gives_up', queue: talk}}\n")
    lines = [
        json.dumps({"job": "says", "payload": said.encode().hex(), "max_attempts": 1}) for said in PAYLOADS.values()
    ]
    service.box.write("/root/batch", "\n".join(lines) + "\n")
    runs = service.box.do("jobd-ctl", "submit", "--batch", "/root/batch").split()
    assert len(runs) == len(PAYLOADS)
    service.box.ask("jobd-ctl", "wait", *runs)
    told = service.box.do("journalctl", "JOBD_JOB=says", "JOBD_OUTCOME=failed", "-o", "json", "--no-pager").splitlines()
    entries = [json.loads(line) for line in told]
    assert sorted(int(one["JOBD_RUN_ID"]) for one in entries) == sorted(map(int, runs))
    for entry in entries:
        said = PAYLOADS[list(PAYLOADS)[runs.index(entry["JOBD_RUN_ID"])]]
        assert entry["MESSAGE"].endswith(f"({visible(said)})") and entry["MESSAGE"].isprintable()
        assert (entry["PRIORITY"], entry["JOBD_QUEUE"], entry["SYSLOG_IDENTIFIER"]) == ("4", "talk", "jobd")
        assert entry["_SYSTEMD_UNIT"] == "jobd.service" and len(entry["MESSAGE_ID"]) == 32
    # The box's journal has runs of that number from the stores of other tests too.
    one = service.box.do("journalctl", f"JOBD_RUN_ID={runs[0]}", "JOBD_JOB=says", "-o", "cat", "--no-pager")
    assert len(one.splitlines()) == 1

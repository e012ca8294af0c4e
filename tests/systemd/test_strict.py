"""`sandbox: strict` under a real systemd: a service for each attempt, and everything else a job has as before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.systemd.box import Service, waiting

pytestmark = [pytest.mark.systemd, pytest.mark.slow, pytest.mark.timeout(600)]

UNITS = "systemctl list-units --all --plain --no-legend 'jobd-run-*'"


def define(service: Service, **jobs: dict[str, Any]) -> None:
    text = {name: {"sandbox": "strict", "retry": {"max_attempts": 1}} | job for name, job in jobs.items()}
    service.define("strict", json.dumps({"jobs": text}))


def test_a_strict_job_is_a_service_with_its_own_view_of_the_host(service: Service) -> None:
    ways = (
        'cat; echo "$SECRET" "$JOBD_RUN_ID"; id -un; grep ^0:: /proc/self/cgroup | grep -o jobd-run.*; umask; pwd;'
        "exec 2>/dev/null; touch /etc/escaped /root/escaped /tmp/mine /var/escaped; unshare -Ur true && echo namespace;"
        'grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status | tr "\\t\\n" " "; echo;'
        "echo '{\"n\": 1}' > $JOBD_RESULT_FILE; echo oops >&2; exit 3"
    )
    job = {"shell": ways, "env": {"SECRET": '$$ 100% "quoted" ${HOME}'}, "stdin": "in\n", "umask": "0027", "cwd": "/"}
    define(service, nobody=job | {"user": "nobody"}, root=job)
    for user in ("nobody", "root"):
        run = service.run(user)
        ended = service.ends(run)
        assert (ended["state"], ended["exit_code"], ended["result"]) == ("failed", 3, {"n": 1}), ended
        said = service.output(run)
        assert said[:2] == ["in", f'$$ 100% "quoted" ${{HOME}} {run}'], said
        assert said[2] == user and said[3].startswith(f"jobd-run-{run}-1-")
        assert said[4:6] == ["0027", "/"]
        assert said[6].strip() == "CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2", said
        assert len(said) == 7, "no namespace"
    service.box.sh("! ls -d /etc/escaped /root/escaped /var/escaped /tmp/mine 2>/dev/null")
    service.box.until(f'test -z "$({UNITS})"')


def test_a_strict_job_ends_as_any_other(service: Service) -> None:
    slow = "trap '' TERM; (setsid sleep 98771 &); while :; do sleep 98772; done"
    define(
        service,
        signalled={"shell": "kill -USR1 $$"},
        slow={"shell": slow, "timeout": "1s", "kill_after": "1s", "user": "nobody"},
        cancelled={"shell": "exec sleep 98773"},
        leaves={"shell": "setsid -f sleep 98774; echo done"},
        absent={"command": ["/no/such/program"]},
        speaks={"shell": "systemd-notify --status=half PROGRESS=0.5; true", "watchdog": "20s"},
    )
    runs = {job: service.run(job) for job in ("signalled", "slow", "cancelled", "leaves", "absent", "speaks")}
    service.box.until("pgrep -f '^sleep 98773'")
    service.box.do("jobd-ctl", "cancel", str(runs["cancelled"]))
    ended = {job: service.ends(run) for job, run in runs.items()}
    outcomes = {job: (run["outcome"], run["exit_code"]) for job, run in ended.items()}
    assert outcomes == {
        "signalled": ("killed", 128 + 10),
        "slow": ("timeout", 124),
        "cancelled": ("cancelled", outcomes["cancelled"][1]),
        "leaves": ("succeeded", 0),
        "absent": ("failed", 127),
        "speaks": ("succeeded", 0),
    }, ended
    assert service.ctl("attempts", str(runs["speaks"]))["items"][0]["status_text"] == "half"
    assert service.output(runs["leaves"]) == ["done"]
    assert service.box.ask("pgrep", "-af", "^sleep 9877").out == ""
    service.box.until(f'test -z "$({UNITS})"')


def test_a_strict_attempt_outlives_the_daemon_and_is_killed_with_its_worker(service: Service) -> None:
    service.define("long", waiting("long", sandbox="{strict: true, read_write_paths: [/root]}", on_lost="fail"))
    run, pid = service.started("long")
    before = service.main_pid
    service.box.do("kill", "-KILL", str(before))
    service.is_started_anew(before)
    assert service.box.do("jobd-ctl", "--json", "kill", str(run), "--signal", "CONT")
    service.let_end("long")
    ended = service.ends(run)
    assert (ended["state"], service.output(run)) == ("succeeded", ["begun", "ended"])
    service.box.sh("rm -f /root/long.*")
    run, pid = service.started("long")
    waiter = service.box.do("pgrep", "-f", "^systemd-run .*--unit=jobd-run")
    service.box.do("kill", "-KILL", service.box.do("ps", "-o", "ppid=", "-p", waiter).strip())
    assert service.ends(run)["outcome"] == "lost"
    assert service.box.ask("kill", "-0", str(pid)).code != 0


def test_limits_and_calls_reach_into_the_service_or_refuse_it(service: Service) -> None:
    define(
        service,
        bounded={"shell": "grep 'open files' /proc/self/limits; nice", "nice": 5, "limits": {"files": 99}},
        large={"shell": "true", "limits": {"memory": "64MiB"}},
        answers={"python": "json:dumps", "user": "nobody"},
    )
    runs = {job: service.run(job) for job in ("bounded", "large", "answers")}
    bounded, large, answers = (service.ends(run) for run in runs.values())
    assert bounded["state"] == "succeeded", bounded
    limit, nice = service.output(runs["bounded"])
    assert (limit.split()[3:5], nice) == (["99", "99"], "5")
    # Where systemd has no memory controller to hand out, the limit is not quietly missing.
    assert large["state"] == "succeeded" or "limits.memory cannot be applied" in large["error"], large
    assert (answers["state"], answers["result"]) == ("succeeded", "null"), answers

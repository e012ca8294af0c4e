"""What holds for an attempt holds on when the daemon is killed under it and another one takes it over."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.daemon import Host, host, is_alive, until

pytestmark = pytest.mark.slow

SPEAKER = """
import os, pathlib, socket, sys, time
own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
own.connect(os.environ["NOTIFY_SOCKET"])
first, gate, *rest = sys.argv[1:]
own.send(first.encode())
pathlib.Path(gate + "." + os.environ["JOBD_JOB"]).write_text(str(os.getpid()))
while not pathlib.Path(gate).exists():
    own.send(b"WATCHDOG=1")
    time.sleep(0.05)
for words in rest:
    own.send(words.encode())
time.sleep(600)
"""
CALLABLE = """
import os, resource, time  # another user may not reach more than is loaded already
def work(payload, context):
    context.progress(0.25, "before")
    with open(payload + ".called", "w") as file: file.write(str(os.getpid()))
    while not os.path.exists(payload): time.sleep(0.05)
    context.progress(0.75, "after")
    return [os.getuid(), resource.getrlimit(resource.RLIMIT_NOFILE)[0], context.attempt]
"""
WAITS = "touch {gate}.$JOBD_JOB; until test -e {gate}; do sleep 0.05; done"
OTHER = "nobody" if os.geteuid() == 0 else None


@dataclass(frozen=True)
class Outlived:
    host: Host
    runs: dict[str, int]
    pids: dict[str, int]

    def ended(self, job: str) -> dict[str, Any]:
        return self.host.ended(self.runs[job], 40.0)

    def attempt(self, job: str) -> dict[str, Any]:
        with self.host.client() as client:
            (attempt,) = client.attempts(self.runs[job])
        return attempt


@pytest.fixture(scope="module")
def outlived() -> Iterator[Outlived]:
    """A host whose daemon was killed under one attempt of each job; all of them are told to go on once it is back."""
    with (
        tempfile.TemporaryDirectory(prefix="jobd-", ignore_cleanup_errors=True) as directory,
        host(Path(directory), "workers: {max: 8}\ndrain_timeout: 5s\n") as made,
    ):
        for place in (made.directory, made.scripts):
            place.chmod(0o755)
        jobs = _jobs(made)
        made.define("jobs", json.dumps({"jobs": jobs}))
        gate = made.directory / "gates" / "open"
        gate.parent.mkdir()
        gate.parent.chmod(0o777)
        made.start()
        with made.client() as client:
            runs = {job: int(client.submit(job, max_attempts=1)) for job in jobs}
        until(lambda: {f"open.{job}" for job in jobs} <= {*os.listdir(gate.parent)}, 30.0, "every job has begun")
        made.kill()
        made.start()
        # The time of one may be over by now.
        assert {made.run(run)["state"] for job, run in runs.items() if job != "extended"} == {"running"}
        with made.client() as client:
            client.cancel(runs["tidies"])
        gate.touch()
        pids = {job: int(Path(f"{gate}.{job}").read_text() or 0) for job in jobs}
        yield Outlived(made, runs, pids)


def _jobs(made: Host) -> dict[str, dict[str, Any]]:
    speaker = str(made.script("speaker.py", SPEAKER))
    (made.scripts / "outliving.py").write_text(CALLABLE)
    gate = str(made.directory / "gates" / "open")
    waits, here = WAITS.format(gate=gate), f"{gate}.$JOBD_JOB"
    beyond = f"{waits}; head -c 200000 /dev/zero > {here}.big; echo $? >&2; exec head -c 200000 /dev/zero > {here}.big"
    inside = (
        f"echo own > /tmp/jobd-outliving; {waits}; cat /tmp/jobd-outliving; tail -n +3 /proc/net/dev | cut -d: -f1;"
        "touch /etc/jobd-outliving 2>/dev/null && echo written"
    )
    tidies = "trap 'trap \"\" TERM; sleep 11; echo tidied; exit 0' TERM"
    sandbox = {"private_tmp": True, "read_only_root": True, "no_network": True, "read_write_paths": [f"{gate[:-5]}"]}
    return {
        "watched": {"command": [sys.executable, speaker, "WATCHDOG=1", gate], "watchdog": "8s"},
        "triggers": {"command": [sys.executable, speaker, "X=1", gate, "WATCHDOG=trigger"], "watchdog": "100s"},
        "extended": {
            "command": [sys.executable, speaker, "EXTEND_TIMEOUT_USEC=12000000", gate],
            "timeout": "3s",
            "kill_after": "300ms",
            "total_timeout": "60s",
        },
        "bounded": {"shell": beyond, "limits": {"file_size": "100KiB"}},
        "boxed": {"shell": inside, "cwd": "/", "sandbox": sandbox},
        "tidies": {
            "shell": f"{tidies}; touch {here}; while :; do sleep 0.1; done",
            "kill_after": "60s",
        },
        "called": {
            "python": "outliving:work",
            "payload": gate,
            "limits": {"files": 77},
            **({"user": OTHER} if OTHER else {"isolate": True}),
        },
    }


def test_a_watchdog_that_is_asked_for_bites_in_an_adopted_attempt(outlived: Outlived) -> None:
    ended = outlived.ended("triggers")
    assert (ended["outcome"], ended["error"]) == ("timeout", "it asked to be ended (WATCHDOG=trigger)")
    assert not is_alive(outlived.pids["triggers"])


def test_an_adopted_attempt_that_falls_silent_is_ended(outlived: Outlived) -> None:
    ended = outlived.ended("watched")
    assert ended["outcome"] == "timeout" and "gave no sign of life for 8 s" in ended["error"]
    assert not is_alive(outlived.pids["watched"])


def test_time_that_was_gained_before_the_crash_is_kept_and_is_an_end_all_the_same(outlived: Outlived) -> None:
    ended = outlived.ended("extended")
    assert ended["outcome"] == "timeout" and ended["error"].endswith("the time it had asked for included")
    assert ended["duration"] > 11.0, "the next daemon must not hold it to the six seconds of its definition"
    assert not is_alive(outlived.pids["extended"])


def test_the_limits_of_an_adopted_attempt_hold_and_are_named(outlived: Outlived) -> None:
    ended = outlived.ended("bounded")
    assert ended["outcome"] == "killed" and "(limits.file_size)" in ended["error"], ended
    assert outlived.host.output(outlived.runs["bounded"], "stderr").split()[-1] == b"153"


def test_an_adopted_attempt_stays_in_its_sandbox(outlived: Outlived) -> None:
    ended = outlived.ended("boxed")
    if ended["exit_code"] == 126:
        pytest.skip(ended["error"])
    assert outlived.host.output(outlived.runs["boxed"]).split() == [b"own", b"lo"], ended
    assert not os.path.exists("/tmp/jobd-outliving") and not os.path.exists("/etc/jobd-outliving")


def test_a_call_of_another_user_ends_as_that_user_with_its_result_and_its_words(outlived: Outlived) -> None:
    ended = outlived.ended("called")
    assert ended["state"] == "succeeded", ended
    assert ended["result"] == [65534 if OTHER else os.getuid(), 77, 1]
    attempt = outlived.attempt("called")
    assert (attempt["progress"], attempt["status_text"]) == (0.75, "after")


def test_an_adopted_attempt_that_is_cancelled_has_the_time_that_its_job_gives_it(outlived: Outlived) -> None:
    """And not the ten seconds of a job that does not say."""
    assert outlived.ended("tidies")["state"] == "cancelled"
    assert outlived.host.output(outlived.runs["tidies"]) == b"tidied\n"

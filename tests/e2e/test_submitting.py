"""Submits as programs and people make them: keys under races and kills, unique runs, and each option of the command."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobd.client import SubmittedRun
from jobd.core.errors import JobdError
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import ROOT, Host, until

DAY = timedelta(days=1)


def ctl(host: Host, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "jobd.cli.ctl", "--socket", host.socket, *words]
    return subprocess.run(program, cwd=ROOT, input=given, capture_output=True, text=True, timeout=60, check=False)


def defined(host: Host) -> Host:
    host.define(
        "submitting",
        """
        jobs:
          su-say: {shell: 'echo "$JOBD_QUEUE $JOBD_PAYLOAD"', payload: {a: 1}}
          su-sleep: {command: [sleep, "60"]}
        """,
    )

    def is_there() -> bool:
        with host.client() as client:
            return "su-sleep" in {one["name"] for one in client.jobs()}

    until(is_there, what="su-sleep is in force")
    return host


@pytest.fixture(scope="module")
def used(served: Host) -> Host:
    return defined(served)


def run_of(host: Host, *words: str) -> dict[str, Any]:
    """The run that a command line submits."""
    done = ctl(host, *words)
    assert done.returncode == 0, done.stderr
    return host.run(int(done.stdout))


# Idempotency keys


def test_of_sixty_four_clients_with_one_key_one_makes_a_run_and_all_are_told_of_it(used: Host) -> None:
    answers: list[SubmittedRun] = []
    together = threading.Barrier(64)

    def submit(payload: int) -> None:
        with used.client(60) as client:
            together.wait(60)
            answers.append(client.submit("su-say", payload, key="raced"))

    racing = [threading.Thread(target=submit, args=(n,)) for n in range(64)]
    for one in racing:
        one.start()
    for one in racing:
        one.join(90)
    assert Counter(one.duplicate for one in answers) == {True: 63, False: 1}
    assert len({int(one) for one in answers}) == 1


def test_a_submit_whose_answer_a_kill_took_is_sent_again_and_finds_its_run(make_host: MakeHost) -> None:
    host = defined(make_host().start())
    body = json.dumps({"job": "su-sleep", "key": "lost", "delay": "1h"}).encode()
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(host.socket)
        head = f"POST /v1/runs HTTP/1.1\r\nHost: jobd\r\nContent-Length: {len(body)}\r\n\r\n"
        asking.sendall(head.encode() + body)
        first = until(lambda: committed(host), what="the run is on disk")
        host.kill()  # nobody has read an answer
    host.start()
    with host.client() as client:
        again = client.submit("su-sleep", key="lost", delay="1h")
        assert (again, again.duplicate) == (first, True)
        assert len(client.runs(job="su-sleep")) == 1


def committed(host: Host) -> int:
    with closing(sqlite3.connect(f"file:{host.database}?mode=ro", uri=True)) as store:
        return int(store.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()[0])


@pytest.mark.slow
def test_submits_through_kills_make_one_run_for_each_key(make_host: MakeHost) -> None:
    host = defined(make_host().start())
    acknowledged: dict[str, set[int]] = {}
    for turn in range(3):
        keys = [f"{turn}-{n}" for n in range(40)]
        half = threading.Event()

        def submit(keys: list[str] = keys, half: threading.Event = half) -> None:
            try:
                with host.client(5) as client:
                    for number, key in enumerate(keys):
                        if number == 20:
                            half.set()
                        acknowledged.setdefault(key, set()).add(client.submit("su-say", key, key=key))
            except JobdError:  # whatever the kill made of it: it is all sent again
                half.set()

        sending = threading.Thread(target=submit)
        sending.start()
        assert half.wait(30)
        host.kill()
        sending.join(30)
        host.start()
        with host.client() as client:
            for key in keys:
                acknowledged.setdefault(key, set()).add(client.submit("su-say", key, key=key))
    with host.client() as client:
        made = client.runs(job="su-say", limit=1000)
    assert {key: len(ids) for key, ids in acknowledged.items()} == {f"{t}-{n}": 1 for t in range(3) for n in range(40)}
    assert sorted(one["id"] for one in made) == sorted(run for ids in acknowledged.values() for run in ids)


def test_a_key_holds_for_a_day_and_as_long_as_its_run_is_not_final(make_host: MakeHost) -> None:
    host = make_host()
    clock = host.with_own_clock()
    defined(host.start())

    def submitted(key: str, **options: Any) -> SubmittedRun:
        with host.client() as client:
            return client.submit("su-say", key=key, **options)

    done, waiting = submitted("done"), submitted("waiting", delay="30d")
    assert host.ended(done)["state"] == "succeeded"
    clock.step(DAY - timedelta(minutes=10))
    assert submitted("done") == done
    clock.step(timedelta(minutes=20))
    until(lambda: abs(stands(host) - clock.now()) < timedelta(minutes=5), what="the daemon has noticed the step")
    again = submitted("done")
    assert (again.duplicate, again > done) == (False, True)
    assert submitted("waiting", delay="30d") == waiting


def stands(host: Host) -> datetime:
    return datetime.fromisoformat(host.status()["now"].replace("Z", "+00:00"))


# Unique runs


def test_the_command_tells_of_a_unique_run_by_its_exit_code(used: Host) -> None:
    once = ["--in", "1h", "--unique", "a", "-p"]
    first = run_of(used, "run", "su-sleep", *once, "a=x")
    kept = ctl(used, "run", "su-sleep", *once, "a=x", "-p", "b=1")
    assert (kept.returncode, kept.stdout) == (10, f"{first['id']}\n")
    assert used.run(first["id"])["payload"] == {"a": "x"}
    replaced = ctl(used, "run", "su-sleep", *once, "a=x", "-p", "b=1", "--on-conflict", "replace", "--priority", "7")
    assert (replaced.returncode, replaced.stdout) == (10, f"{first['id']}\n")
    found = used.run(first["id"])
    assert (found["payload"], found["priority"]) == ({"a": "x", "b": "1"}, 7)
    refused = ctl(used, "run", "su-sleep", *once, "a=x", "--on-conflict", "error")
    assert refused.returncode == 1
    assert f"run {first['id']} (scheduled) holds the unique key" in refused.stderr
    assert run_of(used, "run", "su-sleep", *once, "a=y")["id"] > first["id"]


@pytest.mark.slow
def test_states_all_keeps_the_key_of_a_run_that_has_ended_through_its_period(make_host: MakeHost) -> None:
    host = make_host()
    clock = host.with_own_clock()
    defined(host.start())
    unique = {"key": True, "period": "1d", "states": "all"}
    with host.client() as client:
        first = client.submit("su-say", "x", unique=unique)
        assert host.ended(first)["state"] == "succeeded"
        if stands(host).date() == made_on(host, first):  # not where midnight came in between
            second = client.submit("su-say", "x", unique=unique)
            assert (second, second.duplicate) == (first, True)
    clock.step(DAY)
    until(lambda: stands(host).date() > made_on(host, first), what="the daemon has noticed the step")
    with host.client() as client:
        assert client.submit("su-say", "x", unique=unique) > first


def made_on(host: Host, run: int) -> Any:
    return datetime.fromisoformat(host.run(run)["created_at"].replace("Z", "+00:00")).date()


# Options of the command


def test_pairs_make_a_payload_and_are_laid_over_one(used: Host) -> None:
    assert run_of(used, "run", "su-say", "-p", "b=2", "-p", "c:=[1]")["payload"] == {"b": "2", "c": [1]}
    assert run_of(used, "run", "su-say", "--payload", '{"a": 1}', "-p", "a=2")["payload"] == {"a": "2"}
    assert run_of(used, "run", "su-say")["payload"] == {"a": 1}
    assert ctl(used, "run", "su-say", "-p", "b").returncode == 2


def test_at_and_in_say_when_and_not_both(used: Host) -> None:
    at = run_of(used, "run", "su-sleep", "--at", "2199-12-24T18:00:00Z")
    assert (at["state"], at["run_at"][:19]) == ("scheduled", "2199-12-24T18:00:00")
    later = run_of(used, "run", "su-sleep", "--in", "2h")
    due = datetime.fromisoformat(later["run_at"].replace("Z", "+00:00"))
    assert timedelta(hours=1) < due - datetime.now(UTC) <= timedelta(hours=2)
    assert ctl(used, "run", "su-sleep", "--in", "2h", "--at", "18:00").returncode == 2
    assert ctl(used, "run", "su-sleep", "--in", "soon").returncode == 2


@pytest.mark.parametrize(("said", "meant"), [("low", -10), ("medium", 0), ("high", 10), ("-100", -100), ("42", 42)])
def test_a_priority_is_a_word_or_a_number(used: Host, said: str, meant: int) -> None:
    assert run_of(used, "run", "su-sleep", "--in", "1h", "--priority", said)["priority"] == meant


def test_a_priority_beyond_the_range_is_refused(used: Host) -> None:
    assert ctl(used, "run", "su-say", "--priority", "urgent").returncode == 2
    assert ctl(used, "run", "su-say", "--priority", "101").returncode == 2


def test_a_queue_and_a_timeout_go_before_the_jobs_own(used: Host) -> None:
    made = run_of(used, "run", "su-say", "--queue", "aside")
    used.ended(made["id"])
    assert used.output(made["id"]) == b'aside {"a":1}\n'
    late = ctl(used, "submit", "--timeout", "1s", "--max-attempts", "1", "--wait", "--", "sleep", "60")
    assert late.returncode == 124


def test_a_batch_comes_from_a_file_or_from_the_standard_input(used: Host) -> None:
    lines = "".join(json.dumps({"job": "su-say", "payload": n}) + "\n" for n in range(3))
    file = used.directory / "batch"
    file.write_text(lines)
    for done in (ctl(used, "submit", "--batch", str(file)), ctl(used, "submit", "--batch", "-", given=lines)):
        assert [used.run(int(run))["payload"] for run in done.stdout.split()] == [0, 1, 2]
    wrong = ctl(used, "submit", "--batch", "-", given=lines + '{"job": "su-nothing"}\n')
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "/3/job" in wrong.stderr


def test_wait_gives_the_jobs_code_and_follow_its_output_too(used: Host) -> None:
    words = ["--max-attempts", "1", "--", "sh", "-c", "echo out; echo aside >&2; exit 9"]
    waited = ctl(used, "submit", "--wait", *words)
    assert (waited.returncode, waited.stdout) == (9, "")
    followed = ctl(used, "submit", "--follow", *words)
    assert (followed.returncode, followed.stdout) == (9, "out\n")
    assert "aside\n" in followed.stderr
    assert ctl(used, "run", "su-say", "--wait").returncode == 0


def test_a_key_is_answered_with_its_run_and_exit_code_10(used: Host) -> None:
    first = ctl(used, "run", "su-say", "--key", "of the command")
    second = ctl(used, "run", "su-say", "--key", "of the command")
    assert (first.returncode, second.returncode, second.stdout) == (0, 10, first.stdout)

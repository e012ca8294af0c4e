"""`jobd-ctl logs` in all its forms, against a daemon of flesh and blood."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.e2e.daemon import ROOT, Host, until

JOBS = """
jobs:
  twice:
    shell: |
      printf "out $JOBD_ATTEMPT a\\nout $JOBD_ATTEMPT b\\n"; echo "err $JOBD_ATTEMPT" >&2
      exit $((2 - JOBD_ATTEMPT))
    retry: {strategy: fixed, max_attempts: 2, base: 0s}
"""


@pytest.fixture(scope="module")
def twice(served: Host) -> tuple[Host, int, int]:
    """A host and two runs of a job that succeeds at its second attempt."""
    served.define("twice", JOBS)
    with served.client() as client:
        client.reload()
        first, second = client.submit("twice"), client.submit("twice")
    assert [served.ended(run)["attempts"] for run in (first, second)] == [2, 2]
    return served, first, second


def logs(host: Host, *words: str, code: int = 0) -> str:
    program = [sys.executable, "-m", "jobd.cli.ctl", "--socket", host.socket, *words]
    ran = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == code, ran.stderr
    return ran.stdout


LATEST, FORMER = ("out 2 a\nout 2 b\n", "err 2\n"), ("out 1 a\nout 1 b\n", "err 1\n")


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ((), LATEST[0] + LATEST[1]),
        (("--stdout",), LATEST[0]),
        pytest.param(("--stderr",), LATEST[1], marks=pytest.mark.slow),
        (("-n", "1"), "out 2 b\n" + LATEST[1]),
        pytest.param(("-n", "0"), "", marks=pytest.mark.slow),
        (("--stdout", "-n", "1", "--attempt", "1"), "out 1 b\n"),
        pytest.param(("--attempt", "1"), FORMER[0] + FORMER[1], marks=pytest.mark.slow),
        pytest.param(("-f", "--stdout"), LATEST[0], marks=pytest.mark.slow),
        (("-f", "--stdout", "-n", "1"), "out 2 b\n"),
        pytest.param(("-f", "--stdout", "--attempt", "1"), FORMER[0] + LATEST[0], marks=pytest.mark.slow),
        (("-f", "--stdout", "--attempt", "1", "-n", "1"), "out 1 b\n" + LATEST[0]),
    ],
)
def test_each_form_shows_what_it_says(twice: tuple[Host, int, int], flags: tuple[str, ...], shown: str) -> None:
    host, _, run = twice
    assert logs(host, "logs", *flags, str(run)) == shown


def test_a_job_stands_for_its_latest_run_and_since_for_all_of_them(twice: tuple[Host, int, int]) -> None:
    host, first, second = twice
    assert logs(host, "logs", "--stdout", "twice") == LATEST[0]
    lines = logs(host, "logs", "--stderr", "--since", "1h", "twice").splitlines()
    assert [line for line in lines if not line.startswith("==>")] == ["err 2", "err 2"]
    assert [line.split(",")[0] for line in lines if line.startswith("==>")] == [
        f"==> run {first}", f"==> run {second}",
    ]  # fmt: skip
    assert logs(host, "logs", "--since", "2199-01-01", "twice") == ""
    shown = json.loads(logs(host, "--json", "logs", "-n", "1", "twice"))
    assert (shown["run"], shown["stdout"], shown["stderr"]) == (second, "out 2 b\n", "err 2\n")


def test_what_is_not_there_is_told(twice: tuple[Host, int, int]) -> None:
    host, run, _ = twice
    logs(host, "logs", "--attempt", "9", str(run), code=4)
    logs(host, "logs", "999999", code=4)
    logs(host, "logs", "no-such-job", code=4)
    logs(host, "logs", "--since", "1h", str(run), code=2)
    logs(host, "--json", "logs", "-f", str(run), code=2)


def test_a_follower_that_begins_with_the_last_lines_gets_all_that_follows(served: Host) -> None:
    gate = served.directory / "gate"
    text = f"printf 'one\\ntwo\\n'; until test -e {gate}; do sleep 0.02; done; printf 'three\\nfour\\n'"
    with served.client() as client:
        run = client.submit_command(["/bin/sh", "-c", text], max_attempts=1)
    until(lambda: served.output(run).endswith(b"two\n"), what="it has begun")
    program = [sys.executable, "-m", "jobd.cli.ctl", "--socket", served.socket, "logs", "-f", "-n", "1", str(run)]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"two\n"
        gate.touch()
        assert follower.stdout.read() == b"three\nfour\n"
    assert follower.returncode == 0


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_quietly(served: Host) -> None:
    with served.client() as client:
        run = client.submit_command(["/bin/sh", "-c", "yes | head -c 4000000"], max_attempts=1)
    served.ended(run)
    program = f"{sys.executable} -m jobd.cli.ctl --socket {served.socket} logs {run} | head -n 1"
    ran = subprocess.run(
        ["/bin/sh", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env=os.environ,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    )  # fmt: skip
    assert (ran.stdout, ran.stderr) == ("y\n", "")

"""What jobs write: bytes as they are, nothing of it raw where it would do harm, and no weight on the daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import ROOT, Host, until
from tests.hostile import PAYLOADS, raw_in

SAYS = """
import jobd
def fails(payload): raise ValueError(bytes.fromhex(payload).decode())
def gives_up(payload): raise jobd.Discard(bytes.fromhex(payload).decode())
def leaks(payload): raise ValueError("cannot log in with password=" + payload)
"""
_MEGABYTE = 1024 * 1024


def ctl(host: Host, *args: str, terminal: bool = False) -> bytes:
    """What jobd-ctl prints, into a pipe or on a terminal."""
    program = [sys.executable, "-m", "jobd.cli.ctl", "--socket", host.socket, *args]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"}
    if not terminal:
        return subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, check=False, timeout=60).stdout
    ours, theirs = os.openpty()
    child = subprocess.Popen(program, cwd=ROOT, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # how Linux tells the end of a terminal
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    child.wait(30)
    return shown.replace(b"\r\n", b"\n")


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_bytes_of_every_value_come_back_as_they_were_written(served: Host) -> None:
    """B18."""
    data = bytes(range(256)) * 64 + b"\xff\xfe\xc3 no end"
    served.script("binary.py", f"import sys\nsys.stdout.buffer.write({data!r})\n")
    with served.client() as client:
        run = client.submit_command([sys.executable, str(served.scripts / "binary.py")])
        assert served.ended(run)["state"] == "succeeded"
        assert b"".join(client.output(run, "stdout")) == data
        assert b"".join(client.output(run, "stdout", raw=True)) == data
    assert ctl(served, "logs", str(run)) == data
    assert ctl(served, "logs", "-f", "--stdout", str(run)) == data


@pytest.mark.slow
def test_nothing_that_a_job_says_moves_a_terminal_or_breaks_a_line(served: Host) -> None:
    served.script("says.py", SAYS)
    served.define("fails", "jobs:\n  fails: {python: 'says:fails'}\n  gives-up: {python: 'says:gives_up'}\n")
    served.script("echo.py", "import sys\nprint(sys.argv[1])\nprint(sys.argv[1], file=sys.stderr)\n")
    before = len(served.log().splitlines())
    with served.client() as client:
        client.request("POST", "/v1/reload")
        runs = [client.submit("fails", payload.encode().hex(), max_attempts=1) for payload in PAYLOADS.values()]
        everything = "".join(PAYLOADS.values())
        runs.append(client.submit("gives-up", everything.encode().hex(), max_attempts=1))
        command = [sys.executable, str(served.scripts / "echo.py"), everything.replace("\0", "")]
        runs.append(client.submit_command(command))
    ended = [served.ended(run) for run in runs]
    last = str(runs[-1])
    failed = next(str(one["id"]) for one in ended if one["state"] == "failed")
    for words in (
        ("status",),
        ("jobs",),
        ("runs", "-n", "200"),
        ("show", failed),
        ("show", last),
        ("attempts", failed),
        ("logs", last),
        ("dead", "list"),
        ("events",),
        ("why", failed),
    ):
        assert raw_in(ctl(served, *words, terminal=True).decode()) == set(), words
    listed = ctl(served, "--json", "runs", "-n", "200")
    assert raw_in(listed.decode()) == set()
    errors = [one["error"] for one in json.loads(listed)["items"] if one["error"]]
    assert any("\x1b]52;c;" in error for error in errors)
    with urllib.request.urlopen(f"http://{served.status()['metrics_address']}/metrics", timeout=60) as answer:
        assert raw_in(answer.read().decode()) == set()
    entries = served.log().splitlines()[before:]
    assert raw_in(served.log()) == set()
    assert all(entry[:4].isdigit() for entry in entries), "an entry of the log has more than one line"


@pytest.mark.slow
def test_a_secret_in_an_error_reaches_no_listing_no_log_and_no_store(make_host: MakeHost) -> None:
    host = make_host().start()
    host.script("says.py", SAYS)
    source = host.directory / "db"
    source.write_text("canary-5511-value")
    host.define(
        "leaks",
        f"jobs:\n  leaks: {{python: 'says:leaks'}}\n  known: {{shell: 'cat $CREDENTIALS_DIRECTORY/DB > "
        f'$JOBD_RESULT_FILE.x; printf "{{\\"jobd\\": {{\\"discard\\": \\"%s\\"}}}}" "$(cat $CREDENTIALS_DIRECTORY/DB)"'
        f" > $JOBD_RESULT_FILE; exit 1', secrets: {{DB: {source}}}}}\n",
    )
    with host.client() as client:
        client.request("POST", "/v1/reload")
        runs = [client.submit("known", max_attempts=1)]
        assert host.ended(runs[0])["state"] == "failed"
        assert "***" in str(client.run(runs[0])["error"])
        listed = str(client.run(runs[0])) + str(client.dead_letters()) + ctl(host, "--json", "events").decode()
        assert "canary-5511" not in listed
    assert "canary-5511" not in host.log()
    host.end()
    stored = b"".join(path.read_bytes() for path in (host.directory / "state").rglob("*") if path.is_file())
    assert b"canary-5511" not in stored


@pytest.mark.slow
def test_jobs_that_write_a_lot_at_once_leave_the_memory_of_the_daemon_alone(make_host: MakeHost) -> None:
    """B17."""
    host = make_host("workers: {max: 4}\n").start()
    assert host.process is not None
    host.define("flood", "jobs:\n  flood: {shell: 'head -c 67108864 /dev/zero | tr \"\\\\0\" x', max_running: 4}\n")
    with host.client() as client:
        client.request("POST", "/v1/reload")
        before = resident_bytes(host.process.pid)
        runs = [client.submit("flood") for _ in range(4)]
        most = before
        followed = sum(len(piece) for piece in client.output(runs[0], "stdout", follow=True))
        until(lambda: all(client.run(run)["state"] == "succeeded" for run in runs), 60, "all have written")
        most = max(most, resident_bytes(host.process.pid))
        assert most - before < 64 * _MEGABYTE
        for run in runs:
            usage = client.attempts(run)[0]["usage"]
            assert (usage["stdout_bytes"], usage["output_cut"]) == (64 * _MEGABYTE, True)
        assert followed > 0
    kept = sum(path.stat().st_size for path in (host.directory / "state" / "output").rglob("*") if path.is_file())
    assert kept < 4 * 2 * _MEGABYTE

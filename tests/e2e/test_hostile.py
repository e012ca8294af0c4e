"""What a job tries against the daemon that runs it, and what the daemon does where it cannot go on itself.

By the rows of RELIABILITY: B2, B19, B21, B23, B24 and T18.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from jobd.core.model import AttemptKey, Ending, Finished
from jobd.core.states import Outcome
from jobd.work.wire import Report, to_bytes
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import ROOT, Host, children, is_alive, until

FORGED = Report((Finished(AttemptKey(1, 1), Ending(Outcome.CANCELLED, error="forged")),))
CONTROL = [
    *(b"READY=1", b"STOPPING=1", b"STATUS=forged", b"PROGRESS=0.5", b"MAINPID=1", b"WATCHDOG=trigger"),
    b'{"jobd": {"discard": "forged"}}',
    b'{"jobd": {"retry_in": 0}}',
    b'{"result": "forged", "outcome": "cancelled"}',
    to_bytes(FORGED),
    len(to_bytes(FORGED)).to_bytes(4, "big") + to_bytes(FORGED),
    len(to_bytes(FORGED)).to_bytes(4, "little") + to_bytes(FORGED),
    b"POST /v1/jobs/canary/pause HTTP/1.1\r\nHost: jobd\r\nContent-Length: 2\r\n\r\n{}",
    *(b"<0>panic", b"MESSAGE=forged\nPRIORITY=0", b"::set-output name=x::y", b"update_event canary enabled 0"),
]


def test_b2_what_a_job_leaves_behind_is_ended_counted_and_shown(served: Host) -> None:
    """After a normal end; with a time-out or a cancel it is part of what is killed."""
    mark = served.directory / "left"
    text = f"setsid sh -c 'echo $$ > {mark}; exec sleep 600' & until test -s {mark}; do sleep 0.02; done"
    with served.client() as client:
        run = client.submit_command(["/bin/sh", "-c", text], max_attempts=1)
        assert served.ended(run)["state"] == "succeeded"
        assert client.attempts(run)[0]["usage"]["leftovers"] == 1
    assert not is_alive(int(mark.read_text()))
    with urllib.request.urlopen(f"http://{served.status()['metrics_address']}/metrics", timeout=20) as answer:
        (counted,) = (
            line for line in answer.read().decode().splitlines() if line.startswith("jobd_leftover_processes_t")
        )
    assert float(counted.split()[1]) >= 1
    program = [sys.executable, "-m", "jobd.cli.ctl", "--socket", served.socket, "attempts", str(run)]
    shown = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "attempt 1 left 1 process behind: ended" in shown


def test_b19_nothing_that_is_printed_is_taken_for_a_command(served: Host) -> None:
    served.define("canary", "jobs:\n  canary: {command: ['true'], schedule: '0 0 1 1 *'}\n")
    printed = b"\n".join(CONTROL) + b"\n"
    script = served.script(
        "prints.py", f"import sys\nfor f in sys.stdout, sys.stderr:\n    f.buffer.write({printed!r}); f.flush()\n"
    )
    with served.client() as client:
        client.reload()
        before = client.job("canary")
        run = client.submit_command([sys.executable, str(script)], max_attempts=3)
        ended = served.ended(run)
        assert (ended["state"], ended["attempts"], ended["result"], ended["error"]) == ("succeeded", 1, None, None)
        (attempt,) = client.attempts(run)
        assert (attempt["outcome"], attempt["progress"], attempt["status_text"]) == ("succeeded", None, None)
        assert client.job("canary") == before
        assert client.status()["healthy"] and not client.status()["draining"]
    assert served.output(run) == served.output(run, "stderr") == printed


PUSHES = """
import fcntl, os, sys, termios
try:
    os.open("/dev/tty", os.O_RDWR)
    print("has a terminal")
except OSError as problem:
    print("no terminal:", problem.errno)
for fd in range(64):
    try:
        fcntl.ioctl(fd, termios.TIOCSTI, b"x")
        print("pushed into", fd)
    except OSError:
        pass
print(os.getsid(0) == os.getpid(), os.readlink("/proc/self/fd/0"))
"""
WITH_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
terminal = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
for fd in range(3):
    os.dup2(terminal, fd)
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.slow
def test_b21_a_job_has_no_terminal_to_push_words_into_where_the_daemon_has_one(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 1}\n")
    script = host.script("pushes.py", PUSHES)
    ours, theirs = os.openpty()
    daemon = [sys.executable, "-m", "jobd.cli.daemon", "--config", str(host.config)]
    host.process = subprocess.Popen([sys.executable, "-c", WITH_A_TERMINAL, os.ttyname(theirs), *daemon], cwd=ROOT)
    os.set_blocking(ours, False)
    until(host.answers, 20, "the daemon answers")
    with host.client() as client:
        run = client.submit_command([sys.executable, str(script)], max_attempts=1)
    host.ended(run)
    assert host.output(run) == b"no terminal: 6\nTrue /dev/null\n"
    os.close(theirs)
    host.end()
    os.close(ours)


@pytest.mark.slow
def test_b23_a_daemon_that_stands_still_gives_no_sign_of_life(make_host: MakeHost, tmp_path: Path) -> None:
    """What systemd does then is in tests/systemd."""
    host = make_host("workers: {max: 1}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(host.directory / "notify"))
        manager.settimeout(20)
        host.environment = {"NOTIFY_SOCKET": str(host.directory / "notify"), "WATCHDOG_USEC": "1000000"}
        host.start()
        assert host.process is not None

        def signs() -> bool:
            return b"WATCHDOG=1" in manager.recv(4096).split(b"\n")

        until(signs, 20, "a sign of life")
        host.process.send_signal(signal.SIGSTOP)
        until(lambda: _state(host.process.pid) == "T", 20, "it stands still")  # type: ignore[union-attr]
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                manager.recv(4096)
        manager.settimeout(1.5)
        with pytest.raises(TimeoutError):
            manager.recv(4096)
        host.process.send_signal(signal.SIGCONT)
        manager.settimeout(20)
        until(signs, 20, "a sign of life again")
        with host.client() as client:
            assert host.ended(client.submit_command(["true"]))["state"] == "succeeded"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.slow
def test_t18_no_process_of_jobd_keeps_the_lock_of_a_daemon_that_is_gone(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 2}\ndrain_timeout: 5s\n").start()
    assert host.process is not None
    lock = host.directory / "state" / "jobd.lock"
    inode = lock.stat().st_ino
    with host.client() as client:
        run = client.submit_command(["/bin/sleep", "600"], max_attempts=1)
        until(lambda: any(one["pid"] for one in client.attempts(run)), what="it started")
    (forkserver,) = children(host.process.pid)
    family = [forkserver, *children(forkserver)]
    assert len(family) >= 2
    for pid in (*family, *host.family()):
        held = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
        assert str(lock) not in held and not any(path.endswith(("jobd.db", "jobd.db-wal")) for path in held), pid
    host.kill()
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    host.start()
    with host.client() as client:
        assert client.run(run)["state"] == "running"
        client.cancel(run)
    assert host.ended(run)["state"] == "cancelled"
    host.end()
    assert lock.stat().st_ino == inode, "the file of the lock is never removed or replaced"


LITTER = """
import os, pathlib
precious = pathlib.Path(os.environ["PRECIOUS"])
here = pathlib.Path(os.environ["JOBD_PAYLOAD_FILE"]).parent
os.symlink(precious, here / "link")
os.symlink(precious / "file", here / "credentials")
os.chdir(here)
for depth in range(200):
    os.mkdir("d")
    os.symlink(precious, "..." )
    os.chdir("d")
os.rename(here / "payload.json", here / "moved")
os.symlink(precious / "file", here / "payload.json")
"""


def test_b24_what_a_job_leaves_in_its_directory_goes_and_nothing_else(served: Host) -> None:
    precious = served.directory / "precious"
    precious.mkdir()
    (precious / "file").write_text("here")
    script = served.script("litter.py", LITTER)
    served.define(
        "litter", f"jobs:\n  litter: {{command: [{sys.executable}, {script}], env: {{PRECIOUS: {precious}}}}}\n"
    )
    with served.client() as client:
        client.reload()
        run = client.submit("litter", max_attempts=1)
    assert served.ended(run)["state"] == "succeeded"
    assert [path.name for path in precious.iterdir()] == ["file"]
    assert (precious / "file").read_text() == "here"
    assert list((served.directory / "run" / "attempts").iterdir()) == []

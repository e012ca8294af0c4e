"""A real jobd in a directory of its own: started, asked, killed and started again like an operator's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from jobd.client import Client
from jobd.core.errors import JobdError
from tests.e2e.wallclock import WallClock

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]


def until(question: Callable[[], T], seconds: float = 60.0, what: str = "") -> T:
    """The first answer that is true, asked again and again; AssertionError when it does not come in time."""
    ends = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > ends:
            raise AssertionError(f"not within {seconds} s: {what or question}")
        time.sleep(0.01)
    return answer


class Host:
    """A directory with jobd's settings, definitions and state, and at most one daemon at work in it."""

    def __init__(self, directory: Path, settings: str = "") -> None:
        self.directory = directory
        self.jobs = directory / "jobs.d"
        self.jobs.mkdir()
        self.scripts = directory / "scripts"
        self.scripts.mkdir()
        self.config = directory / "jobd.yaml"
        self.database = directory / "state" / "jobd.db"
        self.socket = str(directory / "run" / "jobd.sock")
        self.process: subprocess.Popen[bytes] | None = None
        self.clock: WallClock | None = None
        self.environment: dict[str, str] = {}
        self.prefix: tuple[str, ...] = ()
        """What starts the daemon, as a program of another user."""
        self._seen: set[tuple[int, int]] = set()
        self.configure(settings)

    def configure(self, settings: str = "") -> None:
        """Write jobd.yaml: the test's own words after what every test needs."""
        lines = ["jobs_dirs: [jobs.d]", "state_dir: state", "runtime_dir: run", f"python_path: [{self.scripts}]"]
        if "metrics:" not in settings:
            lines.append("metrics: {listen: 127.0.0.1:0}")
        self.config.write_text("\n".join(lines) + "\n" + textwrap.dedent(settings))

    def define(self, name: str, text: str) -> Path:
        """Put a file of definitions in force, written beside and renamed like a careful editor does."""
        path, draft = self.jobs / f"{name}.yaml", self.jobs / f".{name}.new"
        draft.write_text(textwrap.dedent(text))
        draft.rename(path)
        return path

    def script(self, name: str, text: str) -> Path:
        path = self.scripts / name
        path.write_text(textwrap.dedent(text))
        path.chmod(0o755)
        return path

    def command(self, *words: str) -> list[str]:
        return [*self.prefix, sys.executable, "-m", "jobd.cli.daemon", "--config", str(self.config), *words]

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the daemon and do not wait for it."""
        with open(self.directory / "jobd.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.environment | (self.clock.environment if self.clock else {}),
            )
        return self.process

    def with_own_clock(self) -> WallClock:
        """From its next start on, the daemon lives by a wall clock that the test sets."""
        self.clock = WallClock(self.directory)
        return self.clock

    def start(self, seconds: float = 60.0) -> Host:
        """Start the daemon and wait until it answers."""
        process = self.launch()

        def answers() -> bool:
            assert process.poll() is None, f"jobd ended with {process.returncode}:\n{self.log()[-3000:]}"
            return self.answers()

        until(answers, seconds, "the daemon answers")
        return self

    def answers(self) -> bool:
        try:
            with self.client(10.0) as client:
                return bool(client.status()["pid"] == (self.process.pid if self.process else 0))
        except JobdError:
            return False

    def client(self, seconds: float = 60.0) -> Client:
        return Client(self.socket, timeout_seconds=seconds)

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What a jobd-ctl on this host comes to."""
        command = [sys.executable, "-m", "jobd.cli.ctl", "--socket", self.socket, *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)

    def status(self) -> dict[str, Any]:
        with self.client() as client:
            return client.status()

    def kill(self) -> None:
        """kill -9 of the daemon alone."""
        assert self.process is not None
        self.family()
        self.process.kill()
        self.process.wait()

    def family(self) -> list[int]:
        """The pids of everything below the daemon now: the forkserver, its workers, their children."""
        assert self.process is not None
        found = descendants(self.process.pid)
        self._seen |= {(pid, start) for pid in found if (start := started(pid)) is not None}
        return found

    def kill_everything(self) -> None:
        """kill -9 of the daemon, its forkserver and its workers, but of no job's process."""
        assert self.process is not None
        (forkserver,) = children(self.process.pid)
        victims = [self.process.pid, forkserver, *children(forkserver)]
        self.family()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def end(self, seconds: float = 60.0) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def log(self) -> str:
        return (self.directory / "jobd.log").read_text(errors="replace")

    def run(self, run: int) -> dict[str, Any]:
        with self.client() as client:
            return client.run(run)

    def ended(self, run: int, seconds: float = 60.0) -> dict[str, Any]:
        """A run when it is final."""
        with self.client() as client:
            found = client.wait(run, seconds)
        assert found["final"], f"run {run} is still {found['state']} after {seconds} s\n{self.log()[-3000:]}"
        return found

    def output(self, run: int, stream: str = "stdout", attempt: int | None = None) -> bytes:
        with self.client() as client:
            return b"".join(client.output(run, stream, attempt=attempt))

    def processes(self) -> dict[int, str]:
        """Every process of this jobd but the daemon: pid → command line. Known by this directory's path in it."""
        own = {os.getpid(), self.process.pid if self.process and self.process.poll() is None else 0}
        found = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) not in own and (line := self._line_of(int(entry))) is not None:
                found[int(entry)] = line
        return found

    def _line_of(self, pid: int) -> str | None:
        mark = str(self.directory).encode()
        with suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            if mark in line or mark in Path(f"/proc/{pid}/environ").read_bytes():
                return line.replace(b"\0", b" ").decode(errors="replace")
        return None

    def clear(self) -> None:
        """End whatever is left, each process by its pid."""
        if self.process is not None and self.process.poll() is None:
            self.family()
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5.0)
            if self.process.poll() is None:
                self.kill()
        if self.clock is not None:
            self.clock.close()
        left = {*self.processes(), *(pid for pid, start in self._seen if started(pid) == start)}
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def host(directory: Path, settings: str = "") -> Iterator[Host]:
    """A Host that leaves nothing behind."""
    made = Host(directory, settings)
    try:
        yield made
    finally:
        made.clear()


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def started(pid: int) -> int | None:
    """When a process started, in clock ticks after boot: with the pid, its identity."""
    stat = _stat(pid)
    return None if stat is None else int(stat[19])


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid: int) -> list[int]:
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found

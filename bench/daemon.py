"""A jobd of its own in a directory of its own, started as it is installed, and spoken to as clients do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from jobd.client import Client, Unreachable

ROOT = Path(__file__).resolve().parent.parent
_JOBS = Path(__file__).resolve().parent / "jobs"
_MEMORY = Path("/dev/shm")
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.005


class Daemon:
    """A running jobd. `history` reads its database beside it."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes]) -> None:
        self.directory, self.process = directory, process
        self.socket = str(directory / "run" / "jobd.sock")
        self.client = self._reached()
        self.history = apsw.Connection(str(directory / "state" / "jobd.db"), flags=apsw.SQLITE_OPEN_READONLY)

    def _reached(self) -> Client:
        client, deadline = Client(self.socket, timeout_seconds=_START_SECONDS), time.monotonic() + _START_SECONDS
        while True:
            try:
                client.version()
            except Unreachable as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"jobd did not start: {self.log()}") from error
                time.sleep(_LOOK_SECONDS)
            else:
                return client

    def log(self) -> str:
        """The end of what the daemon said."""
        return (self.directory / "jobd.log").read_text(errors="replace")[-2000:]

    @property
    def pid(self) -> int:
        return self.process.pid

    def submit(self, runs: Sequence[dict[str, Any]]) -> tuple[int, int]:
        """Submit a batch; its first and last id."""
        ids = self.client.submit_many(runs)
        return ids[0], ids[-1]

    def await_final(self, first: int, last: int, patience: float = 60.0) -> None:
        """Wait until every run from `first` to `last` has ended. Raises TimeoutError, or RuntimeError for a failure."""
        deadline, at = time.monotonic() + patience, first
        while True:
            at = self._open("SELECT min(id) FROM run WHERE id BETWEEN ? AND ? AND finished_at IS NULL", at, last)
            if at is None:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"run {at} has not ended within {patience:g} s: {self.log()}")
            time.sleep(_LOOK_SECONDS)
        failed = self._open("SELECT min(id) FROM run WHERE id BETWEEN ? AND ? AND state <> 'succeeded'", first, last)
        if failed is not None:
            raise RuntimeError(f"run {failed} did not succeed: {self.log()}")

    def _open(self, query: str, first: int, last: int) -> Any:
        return self.history.execute(query, (first, last)).fetchall()[0][0]

    def starts(self, pattern: str, since: float = 0.0) -> list[tuple[float, float]]:
        """Slot and start of the work, both in seconds since 1970, of every run that jobs like `pattern` had for one."""
        query = """SELECT run.slot / 1e6, run.started_at / 1e6 FROM run JOIN job ON job.id = run.job
                   WHERE job.name GLOB ? AND run.slot >= ? AND run.finished_at IS NOT NULL ORDER BY run.started_at"""
        return [(slot, at) for slot, at in self.history.execute(query, (pattern, since * 1e6))]

    def ends(self, first: int, last: int) -> list[float]:
        """When the runs ended, in seconds, in order."""
        query = "SELECT finished_at / 1e6 FROM run WHERE id BETWEEN ? AND ? ORDER BY finished_at"
        return [at for (at,) in self.history.execute(query, (first, last))]

    def started_at(self, run: int) -> float:
        """When the last attempt of a run began its work, in seconds since 1970."""
        found: Any = self.history.execute("SELECT started_at / 1e6 FROM run WHERE id = ?", (run,)).fetchall()
        return float(found[0][0])

    def block(self) -> None:
        """Fill the queue `parked`, whose runs wait from now on."""
        run, _ = self.submit([{"job": "block"}])
        deadline = time.monotonic() + _START_SECONDS
        while self.client.run(run)["state"] != "running":
            if time.monotonic() > deadline:
                raise TimeoutError("the job `block` does not start")
            time.sleep(_LOOK_SECONDS)

    def workers(self) -> list[int]:
        """The pids of its workers."""
        return [worker["pid"] for worker in self.client.status()["workers"]["items"] if worker["pid"]]


@contextmanager
def room() -> Iterator[Path]:
    """A directory on the disk the repository is on, removed in the end."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=build))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def daemon(
    workers: int, definitions: Path | None = None, state: Path | None = None, notify: str | None = None
) -> Iterator[Daemon]:
    """A jobd with so many workers, on the disk the repository is on; all of it is removed in the end.

    `definitions` is another directory of jobs; `state` is kept for a daemon that is started later; `notify` is where it
    says how it is, as to systemd.
    """
    with room() as directory:
        yield from _daemon(directory, workers, [_JOBS, definitions] if definitions else [_JOBS], state, notify)


def _daemon(
    directory: Path, workers: int, jobs: list[Path], state: Path | None, notify: str | None
) -> Iterator[Daemon]:
    config = directory / "jobd.yaml"
    if state is not None:
        (directory / "state").symlink_to(state)
    # Where jobd is installed its runtime directory is on tmpfs, and its state on a disk: so it is here.
    memory = Path(tempfile.mkdtemp(prefix="jobd-bench-", dir=_MEMORY if _MEMORY.is_dir() else None))
    (directory / "run").symlink_to(memory)
    config.write_text(json.dumps(_settings(workers, memory) | {"jobs_dirs": [*map(str, jobs)]}))
    with (directory / "jobd.log").open("wb") as log:
        arguments = [sys.executable, "-m", "jobd.cli.daemon", "--config", str(config)]
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=log, env=_environment(notify))
    running = None
    try:
        running = Daemon(directory, process)
        yield running
    finally:
        if running is not None:
            running.history.close()
        _end(process)
        shutil.rmtree(memory)


def _settings(workers: int, runtime: Path) -> dict[str, Any]:
    return {
        "state_dir": "state",
        "runtime_dir": str(runtime),
        "metrics": {"listen": "127.0.0.1:0"},
        "workers": {"max": workers, "idle_timeout": "10m"},
        "queues": {"parked": {"max_running": 1}},
        "python_path": [str(_JOBS)],
        "logging": {"level": "warning"},
        "drain_timeout": "5s",
    }


def _environment(notify: str | None) -> dict[str, str]:
    ours = ("JOBD_", "LISTEN_", "NOTIFY_")
    found = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return found if notify is None else found | {"NOTIFY_SOCKET": notify}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

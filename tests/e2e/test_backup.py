"""Backups of a daemon at work, and what becomes of them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from jobd.store.backup import check
from jobd.store.connection import StoreError
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until

ROOT = Path(__file__).parent.parent.parent
SETTINGS = "workers: {max: 2}\ndrain_timeout: 5s\n"
JOBS = "jobs:\n  work: {command: ['true']}\n"


def ctl(host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobd.cli.ctl", "--json", "--socket", str(host.socket), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def runs_in(path: Path) -> list[int]:
    with apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY) as base:
        return [row[0] for row in base.execute("SELECT id FROM run ORDER BY id")]


def test_a_backup_is_a_sound_state_with_everything_that_was_acknowledged(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(SETTINGS)
    host.define("jobs", JOBS)
    host.start()
    acknowledged: list[int] = []
    over = threading.Event()

    def submit() -> None:
        client = host.client()
        while not over.is_set():
            acknowledged.append(client.submit("work"))

    busy = threading.Thread(target=submit)
    busy.start()
    try:
        for number in range(3):
            known, file = list(acknowledged), tmp_path / f"{number}.db"
            done = ctl(host, "backup", str(file))
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["bytes"] == file.stat().st_size and file.stat().st_mode & 0o777 == 0o600
            assert check(str(file)) > 0 and set(known) <= set(runs_in(file))
    finally:
        over.set()
        busy.join()
    assert not (host.database.parent / "backup.db").exists()


def test_a_restored_backup_is_what_the_next_jobd_finds(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(SETTINGS)
    host.define("jobs", JOBS)
    host.start()
    first = host.client().submit("work")
    host.ended(first)
    backup = tmp_path / "jobd.db"
    assert ctl(host, "backup", str(backup)).returncode == 0
    second = host.client().submit("work")
    running = ctl(host, "restore", str(backup), "--config", str(host.config))
    assert running.returncode == 1 and "another jobd works in" in running.stderr
    host.end()
    done = ctl(host, "restore", str(backup), "--config", str(host.config))
    assert done.returncode == 0, done.stderr
    assert second in runs_in(Path(json.loads(done.stdout)["before"]))
    host.start()
    assert host.run(first)["state"] == "succeeded"
    assert [one["id"] for one in host.client().runs()] == [first]


@pytest.mark.slow
def test_a_backup_starts_in_an_empty_state_directory(make_host: MakeHost, tmp_path: Path) -> None:
    host, other = make_host(SETTINGS), make_host(SETTINGS)
    host.define("jobs", JOBS)
    host.start()
    run = host.client().submit("work")
    host.ended(run)
    other.database.parent.mkdir(mode=0o700)
    assert ctl(host, "backup", str(other.database)).returncode == 0
    other.start()
    assert other.run(run)["state"] == "succeeded"


def test_what_is_no_sound_database_of_jobd_is_not_restored(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE t (x)").connection.commit()
    with pytest.raises(StoreError, match="is no database of jobd"):
        check(str(other))
    (tmp_path / "text").write_text("not a database, but long enough to be looked at as one" * 100)
    with pytest.raises(StoreError, match="cannot be read as a database"):
        check(str(tmp_path / "text"))


def test_a_damaged_backup_leaves_everything_as_it_is(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(SETTINGS)
    host.define("jobs", JOBS)
    host.start()
    host.client().submit_many([{"job": "work"}] * 500)
    backup = tmp_path / "jobd.db"
    assert ctl(host, "backup", str(backup)).returncode == 0
    host.end()
    size = backup.stat().st_size
    with backup.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 4))
    before = runs_in(host.database)
    done = ctl(host, "restore", str(backup), "--config", str(host.config))
    assert (done.returncode == 1 and "is damaged" in done.stderr) or "cannot be read" in done.stderr
    assert runs_in(host.database) == before


def test_drain_lets_what_runs_end_and_ends_jobd(make_host: MakeHost) -> None:
    host = make_host(SETTINGS)
    host.define("jobs", "jobs:\n  slow: {command: [sleep, '1']}\n")
    host.start()
    run = host.client().submit("slow")
    until(lambda: host.run(run)["state"] == "running")
    assert ctl(host, "drain").returncode == 0
    assert host.process is not None and host.process.wait(30) == 0
    host.start()
    assert host.run(run)["state"] == "succeeded"

"""What is asserted of SQLite before it is trusted, and what two connections may never do to one another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from jobd.store import connection
from jobd.store.connection import Connection, StorageFailed, StoreError, Writer, is_sound
from jobd.store.history import History
from tests.store.builders import NOW, Store


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ("3.51.3", True),
        ("3.51.4", True),
        ("3.52.0", True),
        ("4.0.0", True),
        ("3.51.2", False),
        ("3.51.0", False),
        ("3.50.7", True),
        ("3.50.8", True),
        ("3.50.6", False),
        ("3.49.9", False),
        ("3.45.9", False),
        ("3.44.6", True),
        ("3.44.5", False),
        ("3.40.1", False),
        ("3.7.0", False),
    ],
)
def test_a_sqlite_that_can_lose_commits_is_known(version: str, sound: bool) -> None:
    assert is_sound(tuple(map(int, version.split(".")))) is sound


def test_a_sqlite_that_can_lose_commits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "linked_version", lambda: (3, 40, 1))
    with pytest.raises(StoreError, match="can lose commits"):
        Connection(str(tmp_path / "jobd.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("word", "number"), [("full", 2), ("normal", 1)])
def test_what_was_asked_of_sqlite_is_in_force(tmp_path: Path, word: str, number: int) -> None:
    raw = Connection(str(tmp_path / "jobd.db"), synchronous=word).raw
    assert raw.pragma("synchronous") == number
    assert raw.pragma("journal_mode") == "wal"
    assert raw.pragma("wal_autocheckpoint") == 0
    assert raw.pragma("foreign_keys") == 1


def test_a_setting_that_sqlite_does_not_take_is_refused() -> None:
    with pytest.raises(StoreError, match="did not take journal_mode=wal"):
        Connection(":memory:")


def test_a_reader_cannot_write(store: Store) -> None:
    reader = Connection(store.path, readonly=True)
    with pytest.raises(apsw.ReadOnlyError):
        reader.run("note_meta", {"key": "k", "value": "v"})


def test_a_reader_sees_what_is_committed_and_nothing_else(store: Store) -> None:
    reader = History(store.path)
    with store.transaction() as tx:
        half = {"name": "half", "spec": None, "file": "f", "now": 0, "boot": ""}
        tx.run("adopt_job", half | {"limit": None, "rate": None, "uses": None})
        assert "half" not in reader.standings()
    assert "half" in reader.standings()


def test_commits_leave_the_wal_to_the_checkpoints(store: Store) -> None:
    for _ in range(30):
        store.submit(payload="x" * 60_000, count=2)
    wal = os.stat(store.path + "-wal").st_size
    assert wal > 30 * 2 * 60_000, "nothing was checkpointed by a commit"
    assert store.writer.checkpoint(truncate=True)[0] >= 0
    assert os.stat(store.path + "-wal").st_size == 0


def test_a_checkpoint_that_a_reader_holds_up_is_no_error(store: Store) -> None:
    other = apsw.Connection(store.path)
    other.execute("BEGIN; SELECT count(*) FROM run").fetchall()
    store.submit()
    store.writer._connection.raw.set_busy_timeout(10)
    assert store.writer.checkpoint(truncate=True) == (-1, -1)
    other.close()
    assert store.writer.checkpoint(truncate=True)[0] >= 0


def test_a_write_lock_that_does_not_come_is_a_storage_failure(store: Store) -> None:
    other = apsw.Connection(store.path)
    other.execute("BEGIN IMMEDIATE")
    store.writer._connection.raw.set_busy_timeout(10)
    with pytest.raises(StorageFailed), store.transaction():
        pass
    other.execute("ROLLBACK")
    store.submit()


def test_a_handle_is_refused_after_a_fork(store: Store) -> None:
    """T6."""
    # os._exit: a child that shares the parent's handle must not run its clean-up.
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            store.history.run(1)
        except StoreError:
            try:
                store.writer._connection.many("add_payload", [(1, "x")])
            except StoreError:
                code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


RESERVING = """
import json, sys, time
from datetime import UTC, datetime
from jobd.core.model import ProcessIdentity
from jobd.store import reservation
from jobd.store.open import open_store
writer, _ = open_store(sys.argv[1], synchronous="normal")
print("ready", flush=True)
sys.stdin.readline()
got = []
while True:
    with writer.transaction(datetime.now(UTC)) as tx:
        some = reservation.reserve(tx, "default", [(0, 3)], 3)
        reservation.open_attempts(tx, [(one.key, ProcessIdentity("b", 1, 1)) for one in some])
    if not some:
        break
    got += [[one.key.run, one.key.attempt] for one in some]
    time.sleep(0.002)
print(json.dumps(got))
"""


def test_two_processes_never_reserve_the_same_attempt(store: Store) -> None:
    store.submit(count=600)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", RESERVING, store.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    got = []
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in both:
        got.append(json.loads(one.communicate(timeout=30)[0]))
    assert sorted(got[0] + got[1]) == [[run, 1] for run in range(1, 601)]
    assert got[0], "both had a share"
    assert got[1], "both had a share"


def test_a_full_disk_fails_the_transaction_and_the_next_one_works(store: Store) -> None:
    raw = store.writer._connection.raw
    store.submit()
    pages = raw.pragma("page_count")
    raw.pragma("max_page_count", pages)
    with pytest.raises(StorageFailed, match="cannot be written"):
        store.submit(payload="x" * 500_000)
    assert not raw.in_transaction
    assert store.rows("SELECT count(*) FROM run") == [(1,)]
    raw.pragma("max_page_count", pages + 10_000)
    assert store.submit(payload="x" * 500_000) == [2]


def test_a_writer_tells_how_many_rows_it_changed(store: Store) -> None:
    writer: Writer = store.writer
    before = writer.total_changes()
    with writer.transaction(NOW) as tx:
        tx.run("note_meta", {"key": "k", "value": "v"})
        assert tx.changed() == 1
        tx.run("remove_job", {"name": "nobody", "now": 1})
        assert tx.changed() == 0
    assert writer.total_changes() == before + 1

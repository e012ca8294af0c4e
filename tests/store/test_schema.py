"""Which files are opened, which are brought up to date, and which are left exactly as they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import apsw
import pytest

from jobd.store import schema
from jobd.store.connection import APPLICATION_ID, Connection, StoreError
from jobd.store.open import open_store
from tests.store.builders import Store, open_at

NEXT_STEP = "CREATE TABLE novelty (id INTEGER PRIMARY KEY) STRICT; INSERT INTO novelty SELECT id FROM run;"


def digest(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


def test_a_new_file_says_what_it_is(store: Store) -> None:
    raw = apsw.Connection(store.path)
    assert raw.pragma("application_id") == APPLICATION_ID
    assert raw.pragma("user_version") == len(schema.migrations())
    assert raw.pragma("integrity_check") == "ok"


def test_migrations_are_numbered_by_the_version_they_bring() -> None:
    folder = Path(schema.__file__).parent / "migrations"
    numbers = sorted(int(path.name[:4]) for path in folder.glob("*.sql"))
    assert numbers == list(range(1, len(schema.migrations()) + 1))


def test_a_file_of_today_is_opened_as_it_is(store: Store) -> None:
    (run,) = store.submit(payload={"a": 1})
    store.close()
    again = open_at(Path(store.path).parent)
    found = again.history.run(run)
    assert found is not None
    assert found.payload == {"a": 1}
    assert again.submit() == [run + 1]
    again.close()


def test_a_newer_schema_is_refused_and_the_file_untouched(store: Store) -> None:
    store.submit()
    directory = Path(store.path).parent
    store.close()
    raw = apsw.Connection(store.path)
    raw.pragma("user_version", len(schema.migrations()) + 1)
    raw.close()
    before = digest(directory)
    with pytest.raises(StoreError, match=r"newer jobd \(schema \d+, this one knows \d+\)"):
        open_store(store.path)
    after = digest(directory)
    assert after["jobd.db"] == before["jobd.db"]
    assert [name for name in after if name.startswith("jobd.db.before")] == []


@pytest.mark.parametrize("identity", [0, 0x1234])
def test_a_database_of_another_program_is_refused_and_untouched(tmp_path: Path, identity: int) -> None:
    path = tmp_path / "jobd.db"
    raw = apsw.Connection(str(path))
    raw.execute("PRAGMA journal_mode = WAL; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").fetchall()
    raw.pragma("application_id", identity)
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        open_store(str(path))
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "jobd.db"
    path.write_bytes(b"not a database at all, " * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="cannot be used as a database"):
        open_store(str(path))
    assert path.read_bytes() == before


def test_a_migration_comes_after_a_backup_and_keeps_every_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.submit(count=3)
    store.close()
    today = schema.migrations()
    monkeypatch.setattr(schema, "migrations", lambda: [*today, NEXT_STEP])
    store = open_at(Path(store.path).parent)
    assert store.rows("SELECT id FROM novelty") == [(1,), (2,), (3,)]
    assert store.rows("PRAGMA user_version") == [(len(today) + 1,)]
    backup = apsw.Connection(f"{store.path}.before-{len(today) + 1}")
    assert backup.pragma("user_version") == len(today)
    assert backup.execute("SELECT count(*) FROM run").fetchall() == [(3,)]
    store.close()


def test_a_migration_that_fails_leaves_the_version_it_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.submit()
    store.close()
    today = schema.migrations()
    monkeypatch.setattr(schema, "migrations", lambda: [*today, NEXT_STEP + "INSERT INTO nowhere VALUES (1);"])
    for _ in range(2):  # the backup of the first try does not stand in the way of the second
        with pytest.raises(StoreError, match=f"could not be brought to schema {len(today) + 1}"):
            open_store(store.path)
    monkeypatch.setattr(schema, "migrations", lambda: today)
    again = open_at(Path(store.path).parent)
    assert again.rows("SELECT count(*) FROM run") == [(1,)]
    assert again.rows("SELECT name FROM sqlite_schema WHERE name = 'novelty'") == []
    again.close()


def test_steps_are_taken_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an interrupted upgrade has finished stays finished."""
    today = schema.migrations()
    steps = [*today, NEXT_STEP, "nonsense"]
    monkeypatch.setattr(schema, "migrations", lambda: steps)
    path = str(tmp_path / "jobd.db")
    with pytest.raises(StoreError):
        open_store(path)
    assert Connection(path, readonly=True).raw.pragma("user_version") == len(today) + 1
    steps[-1] = "CREATE TABLE last_one (a INTEGER) STRICT"
    writer, history = open_store(path)
    assert Connection(path, readonly=True).raw.pragma("user_version") == len(today) + 2
    history.close()
    writer.close()

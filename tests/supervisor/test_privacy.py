"""Who can read what a daemon keeps."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.daemon import host


def test_nobody_else_reads_the_database_of_an_open_state_directory(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    with host(tmp_path) as it:
        it.start()
        for name in ("jobd.db", "jobd.db-wal", "jobd.db-shm"):
            assert (tmp_path / "state" / name).stat().st_mode & 0o077 == 0, name

"""A job that copies a SQLite database while it is in use, with SQLite's own backup interface."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).resolve().parents[2] / ".jobd" / "sample"


def backup(payload: dict[str, Any]) -> dict[str, Any]:
    """Copy the database `payload["database"]`, or a sample, and keep the newest `payload["keep"]` copies.

    A copy appears under its name only when it is complete and checked.
    """
    directory = Path(payload.get("directory", SAMPLE))
    directory.mkdir(parents=True, exist_ok=True)
    database = Path(payload["database"]) if "database" in payload else _sample(directory / "orders.db")
    copy = directory / f"{database.stem}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.db"
    part = copy.with_suffix(".part")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
        (verdict,) = target.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise RuntimeError(f"{part}: the copy is damaged: {verdict}")
        tables = [name for (name,) in target.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    part.rename(copy)
    removed = _thin_out(directory, database.stem, int(payload.get("keep", 5)))
    print(f"{database} -> {copy} ({copy.stat().st_size} bytes, {len(tables)} tables, {removed} old copies removed)")
    return {"copy": str(copy), "bytes": copy.stat().st_size, "tables": tables, "removed": removed}


def _sample(database: Path) -> Path:
    """A small shop that takes an order each time it is looked at."""
    with closing(sqlite3.connect(database)) as shop, shop:
        shop.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, taken_at TEXT NOT NULL)")
        shop.execute("INSERT INTO orders (taken_at) VALUES (?)", (datetime.now(UTC).isoformat(),))
    return database


def _thin_out(directory: Path, stem: str, keep: int) -> int:
    copies = sorted(directory.glob(f"{stem}-*.db"))
    old = copies[: max(0, len(copies) - keep)]
    for copy in old:
        copy.unlink(missing_ok=True)
    return len(old)

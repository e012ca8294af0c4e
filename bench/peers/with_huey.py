"""huey on SQLite: WAL and synchronous=FULL (its defaults); a task leaves the file before it runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import PAYLOAD, Peer, count_one, directory, note_late, serve
from huey import SqliteHuey

app = SqliteHuey("bench", filename=str(directory() / "huey.db"))


@app.task()
def nothing(_payload: str) -> None:
    count_one()


@app.task()
def stamped(at: float) -> None:
    note_late(at)


class Huey(Peer):
    def fresh(self) -> None:
        app.storage.flush_queue()
        app.storage.flush_results()

    def client(self) -> Callable[[], Any]:
        app.storage.close()
        return lambda: nothing(PAYLOAD)

    def preload(self, count: int) -> None:
        with app.storage.db(commit=True) as cursor:
            rows = (("bench", app.serialize_task(nothing.s(PAYLOAD)), 0.0) for _ in range(count))
            cursor.executemany("insert into task (queue, data, priority) values (?, ?, ?)", rows)

    def workers(self, count: int) -> None:
        consumer = str(Path(sys.executable).parent / "huey_consumer")
        here = os.path.dirname(os.path.abspath(__file__))
        arguments = ("with_huey.app", "-k", "process", "-w", str(count), "-q")
        self.programs.start(consumer, *arguments, cwd=here, env={**os.environ, "PYTHONPATH": here})

    def put_stamped(self) -> None:
        stamped(time.monotonic())

    def close(self) -> None:
        app.storage.close()


if __name__ == "__main__":
    import with_huey  # tasks are known by the module they are imported from

    serve(with_huey.Huey())

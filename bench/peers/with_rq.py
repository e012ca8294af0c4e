"""RQ on Redis with an append-only file synced at every write; SimpleWorker, which does not fork for each run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
import rq
import rq_tasks
from harness import PAYLOAD, Peer, Programs, await_port, directory, free_port, serve


class Rq(Peer):
    def __init__(self) -> None:
        super().__init__()
        self._server, self._port = Programs(), free_port()
        self._server.start(
            *("redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(directory())),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
        )
        await_port(self._port)

    def _queue(self) -> rq.Queue:
        return rq.Queue(connection=redis.Redis(port=self._port))

    def fresh(self) -> None:
        redis.Redis(port=self._port).flushall()

    def client(self) -> Callable[[], Any]:
        queue = self._queue()
        return lambda: queue.enqueue(rq_tasks.nothing, PAYLOAD)

    def preload(self, count: int) -> None:
        made = [rq.Queue.prepare_data(rq_tasks.nothing, (PAYLOAD,)) for _ in range(count)]
        self._queue().enqueue_many(made)

    def workers(self, count: int) -> None:
        here = os.path.dirname(os.path.abspath(__file__))
        program = str(Path(sys.executable).parent / "rq")
        arguments = ("worker", "--url", f"redis://127.0.0.1:{self._port}", "-q", "-w", "rq.SimpleWorker")
        for _ in range(count):
            self.programs.start(program, *arguments, cwd=here, env={**os.environ, "PYTHONPATH": here})

    def put_stamped(self) -> None:
        self._queue().enqueue(rq_tasks.stamped, time.monotonic())

    def close(self) -> None:
        self._server.end()


if __name__ == "__main__":
    serve(Rq())

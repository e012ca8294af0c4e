"""beanstalkd with a binlog synced at every write (-f 0); a bare queue: the worker's loop is ours, no history."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import greenstalk
from harness import PAYLOAD, Peer, Programs, await_port, count_one, directory, free_port, note_late, serve

_WORK = json.dumps({"nothing": PAYLOAD})


class Beanstalkd(Peer):
    def __init__(self) -> None:
        super().__init__()
        self._server, self._port = Programs(), 0
        self.fresh()

    def fresh(self) -> None:
        self._server.end()
        binlog = directory() / "binlog"
        shutil.rmtree(binlog, ignore_errors=True)
        binlog.mkdir(parents=True)
        self._port = free_port()
        self._server.start("beanstalkd", "-l", "127.0.0.1", "-p", str(self._port), "-b", str(binlog), "-f", "0")
        await_port(self._port)

    def client(self) -> Callable[[], Any]:
        client = greenstalk.Client(("127.0.0.1", self._port))
        return lambda: client.put(_WORK)

    def preload(self, count: int) -> None:
        submit = self.client()
        for _ in range(count):
            submit()

    def workers(self, count: int) -> None:
        here = os.path.dirname(os.path.abspath(__file__))
        for _ in range(count):
            self.programs.start(sys.executable, os.path.abspath(__file__), "work", str(self._port), cwd=here)

    def put_stamped(self) -> None:
        with greenstalk.Client(("127.0.0.1", self._port)) as client:
            client.put(json.dumps({"at": time.monotonic()}))

    def close(self) -> None:
        self._server.end()


def work(port: int) -> None:
    client = greenstalk.Client(("127.0.0.1", port))
    while True:
        job = client.reserve()
        asked = json.loads(job.body)
        if "at" in asked:
            note_late(asked["at"])
            client.delete(job)
        else:
            client.delete(job)
            count_one()


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        work(int(sys.argv[2]))
    else:
        serve(Beanstalkd())

"""procrastinate on PostgreSQL at its defaults (fsync, synchronous_commit on); worker processes that take one each."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import procrastinate
import psycopg
from harness import PAYLOAD, Peer, Programs, await_port, count_one, free_port, note_late, serve

_DSN = os.environ.get("PEER_DSN", "")
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_DSN))


@app.task(name="nothing")
def nothing(payload: str) -> None:  # noqa: ARG001 - what a run carries
    count_one()


@app.task(name="stamped")
def stamped(at: float) -> None:
    note_late(at)


class Procrastinate(Peer):
    def __init__(self) -> None:
        super().__init__()
        self._server, port = Programs(), free_port()
        self._place = tempfile.mkdtemp(prefix="jobd-bench-pg-")
        programs = max(glob.glob("/usr/lib/postgresql/*/bin"))
        become = _as_another(self._place)
        data = os.path.join(self._place, "data")
        subprocess.run(
            [*become, f"{programs}/initdb", "-D", data, "-A", "trust", "-U", "postgres"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        settings = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
        self._server.start(*become, f"{programs}/postgres", "-D", data, "-p", str(port), *settings, cwd="/")
        await_port(port)
        self._dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        self._connection = self._connected()
        with self._app() as made:
            made.schema_manager.apply_schema()

    def _connected(self) -> psycopg.Connection[Any]:
        ends = time.monotonic() + 15
        while True:
            try:
                return psycopg.connect(self._dsn, autocommit=True)
            except psycopg.OperationalError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.05)

    def _app(self) -> procrastinate.App:
        made = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=self._dsn))
        made.open()
        return made

    def fresh(self) -> None:
        self._connection.execute("TRUNCATE procrastinate_jobs, procrastinate_events CASCADE")

    def client(self) -> Callable[[], Any]:
        made = self._app()
        return lambda: made.configure_task("nothing").defer(payload=PAYLOAD)

    def preload(self, count: int) -> None:
        text = "INSERT INTO procrastinate_jobs (queue_name, task_name, args) SELECT 'default', 'nothing', %s::jsonb"
        self._connection.execute(f"{text} FROM generate_series(1, %s)", (f'{{"payload": "{PAYLOAD}"}}', count))

    def workers(self, count: int) -> None:
        here = os.path.dirname(os.path.abspath(__file__))
        program = str(Path(sys.executable).parent / "procrastinate")
        environ = {**os.environ, "PYTHONPATH": here, "PEER_DSN": self._dsn}
        for _ in range(count):
            self.programs.start(program, "--app", "with_procrastinate.app", "worker", "-c", "1", env=environ, cwd=here)

    def put_stamped(self) -> None:
        made = self._app()
        made.configure_task("stamped").defer(at=time.monotonic())
        made.close()

    def close(self) -> None:
        self._connection.close()
        self._server.end(signal.SIGINT)
        shutil.rmtree(self._place, ignore_errors=True)


def _as_another(place: str) -> list[str]:
    """PostgreSQL does not run as root: what starts it as its own user then."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    os.chown(place, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


if __name__ == "__main__":
    serve(Procrastinate())

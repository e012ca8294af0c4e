"""Real database servers on loopback, where the host has them."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = max(glob.glob("/usr/lib/postgresql/*/bin"), default=None)
MARIADB = shutil.which("my_print_defaults") and shutil.which("mariadbd", path="/usr/sbin:/usr/bin")
_PATIENCE_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _as_another(directory: str, user: str) -> list[str]:
    """How a server that refuses to be root is started."""
    if os.geteuid() != 0:
        return []
    entry = pwd.getpwnam(user)
    os.chown(directory, entry.pw_uid, entry.pw_gid)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]


@contextmanager
def _served(command: list[str], log: Path, answers: Callable[[], bool]) -> Iterator[None]:
    with open(log, "wb") as file:
        server = subprocess.Popen(command, cwd="/", stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not answers():
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait(_PATIENCE_SECONDS)


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a server with a superuser `jobs`."""
    import psycopg

    with tempfile.TemporaryDirectory(prefix="jobd-pg-", ignore_cleanup_errors=True) as directory:
        become, data, port = _as_another(directory, "postgres"), f"{directory}/data", free_port()
        init = [f"{PROGRAMS}/initdb", "-D", data, "-A", "trust", "-U", "jobs", "--no-sync"]
        subprocess.run([*become, *init], check=True, capture_output=True, cwd="/")
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", directory]
        url = f"postgresql://jobs@127.0.0.1:{port}/postgres"

        def answers() -> bool:
            try:
                psycopg.connect(url, connect_timeout=2).close()
            except psycopg.OperationalError:
                return False
            return True

        command = [*become, f"{PROGRAMS}/postgres", "-D", data, "-p", str(port), *settings]
        with _served(command, Path(directory, "log"), answers):
            yield url


@contextmanager
def mariadb() -> Iterator[str]:
    """The URL of a server with a database `shop`."""
    import mysql.connector

    with tempfile.TemporaryDirectory(prefix="jobd-my-", ignore_cleanup_errors=True) as directory:
        become, port = _as_another(directory, "nobody"), free_port()
        where = [f"--datadir={directory}/data", f"--socket={directory}/s", f"--pid-file={directory}/p"]
        start = Path(directory, "start.sql")
        start.write_text(
            "CREATE DATABASE IF NOT EXISTS shop; CREATE USER jobs@'127.0.0.1' IDENTIFIED BY 'pa ss/w@rd';"
            "GRANT ALL ON shop.* TO jobs@'127.0.0.1';\n".replace("; ", ";\n").replace(";G", ";\nG")
        )
        start.chmod(0o644)
        init = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", where[0]]
        subprocess.run([*become, *init], check=True, capture_output=True, cwd="/")

        def answers() -> bool:
            try:
                mysql.connector.connect(
                    host="127.0.0.1", port=port, user="jobs", password="pa ss/w@rd", use_pure=True
                ).close()
            except mysql.connector.Error:
                return False
            return True

        options = ["--no-defaults", *where, f"--port={port}", "--bind-address=127.0.0.1", f"--init-file={start}"]
        with _served([*become, str(MARIADB), *options], Path(directory, "log"), answers):
            yield f"mysql://jobs@127.0.0.1:{port}/shop"

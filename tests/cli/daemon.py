"""A small HTTP server on a Unix socket that answers what a test laid out, in the shapes of the control API."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from jobd.control import problems, shapes
from jobd.control.ports import DefinedJob, Overview
from jobd.core.model import Command, Job, Schedule, Usage
from jobd.core.records import AttemptRecord, JobStanding, RunRecord
from jobd.core.states import Outcome, RunState, Trigger

NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass
class Asked:
    method: str
    path: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Daemon:
    """What is answered, by method and path (with its query), and what was asked so far."""

    socket: str
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def gets(self, path: str, value: Any) -> None:
        self.answers["GET", path] = (200, value)

    def posts(self, path: str, value: Any, status: int = 200) -> None:
        self.answers["POST", path] = (status, value)

    def refuses(self, method: str, path: str, status: int, word: str, detail: str, *errors: tuple[str, str]) -> None:
        self.answers[method, path] = (status, problems.document(status, word, detail, list(errors)))

    def answer(self, asked: Asked) -> tuple[int, Any]:
        self.asked.append(asked)
        bare = asked.path.partition("?")[0]
        nowhere = (404, problems.document(404, "not-found", f"there is nothing at {asked.path}"))
        return self.answers.get((asked.method, asked.path)) or self.answers.get((asked.method, bare)) or nowhere


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def serving(directory: Path) -> Iterator[Daemon]:
    """A daemon's stand-in that listens in `directory`."""
    daemon = Daemon(str(directory / "jobd.sock"))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, value = daemon.answer(Asked(self.command, self.path, body))
            content = value if isinstance(value, bytes) else shapes.encode(value)
            kind = "application/json" if status < 400 else "application/problem+json"
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(value, bytes) else kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names http.server looks for

        def log_message(self, *_: Any) -> None:
            """Keep the test's stderr for the program under test."""

    server = Server(daemon.socket, Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield daemon
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


RUN = RunRecord(
    id=42,
    job="backup",
    state=RunState.SUCCEEDED,
    queue="default",
    priority=0,
    payload={"table": "shop"},
    result={"rows": 3},
    error=None,
    attempts=1,
    max_attempts=3,
    trigger=Trigger.SUBMIT,
    slot=None,
    run_at=NOW - timedelta(minutes=3),
    created_at=NOW - timedelta(minutes=3),
    started_at=NOW - timedelta(minutes=3),
    finished_at=NOW - timedelta(minutes=2),
    exit_code=0,
    outcome=Outcome.SUCCEEDED,
    key=None,
    parent=None,
    owner="root",
    spec_version="0123456789ab",
    adhoc=False,
    cancelling=False,
)
ATTEMPT = AttemptRecord(
    run=42,
    attempt=1,
    reserved_at=NOW - timedelta(minutes=3),
    started_at=NOW - timedelta(minutes=3),
    finished_at=NOW - timedelta(minutes=2),
    outcome=Outcome.KILLED,
    exit_code=137,
    signal=9,
    error="killed by SIGKILL",
    worker_pid=10,
    pid=11,
    usage=Usage(cpu_user_seconds=0.5, peak_memory_bytes=3 * 1024 * 1024),
)


def run(**changes: Any) -> dict[str, Any]:
    """A run as the API shows it."""
    return shapes.run(replace(RUN, **changes), contents=True)


def ended(**changes: Any) -> dict[str, Any]:
    """A run as `/wait` answers it."""
    record = replace(RUN, **changes)
    return shapes.run(record, contents=True) | {"final": shapes.is_final(record)}


def attempt(**changes: Any) -> dict[str, Any]:
    return shapes.attempt(replace(ATTEMPT, **changes), contents=True)


def job(name: str = "backup", *, last: RunState | None = None, exit_code: int | None = 0) -> dict[str, Any]:
    """A job as the API shows it, with its definition."""
    made = Job(name=name, action=Command(("true",)), description="dump it", schedule=Schedule(("30 2 * * *",)))
    document = {"command": ["true"], "retry": {"base": "10s"}}
    sources = {"command": "a.yaml:3", "retry.base": "a.yaml.d/x.yaml:4"}
    defined = DefinedJob(made, "a.yaml", 2, "UTC", NOW + timedelta(minutes=4), sources, document)
    outcome = {RunState.SUCCEEDED: Outcome.SUCCEEDED, RunState.FAILED: Outcome.FAILED}.get(last or RunState.QUEUED)
    standing = JobStanding(
        name, NOW, NOW, NOW, 7, last, outcome, exit_code, NOW - timedelta(minutes=2), NOW, NOW, waiting=1, running=2
    )
    return shapes.job(defined, standing if last else None) | shapes.definition(defined)


def status(*jobs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The daemon at a glance, with these jobs."""
    seen = Overview(
        version="0.1.0",
        pid=1,
        started_at=NOW - timedelta(hours=1),
        now=NOW,
        draining=False,
        degraded=(),
        problems=(),
        last_reload_at=NOW,
        last_reload_ok=True,
        workers=(),
        workers_max=4,
        metrics_address="127.0.0.1:9764",
        socket="/run/jobd/jobd.sock",
        state_dir="/var/lib/jobd",
        containment="cgroup",
        timezone="UTC",
    )
    counts = {"total": len(jobs), "failed": 0, "paused": 0, "circuit_open": 0, "late": 0}
    shown = shapes.overview(replace(seen, **changes))
    return shown | {"jobs": list(jobs), "queues": [], "paused": None, "job_counts": counts}

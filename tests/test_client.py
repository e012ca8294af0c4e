"""The Python client against the real control API, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobd import client as client_module
from jobd.client import Client, Unreachable, default_socket
from jobd.core.errors import Conflict, Invalid, NotFound, TooLarge, Unavailable
from jobd.core.events import RunAccepted
from jobd.core.intents import Submit
from jobd.core.states import RunState, Trigger
from tests.control.desk import NOW, MemoryDesk, serving, submitted


@contextmanager
def daemon(path: Path, desk: MemoryDesk, **limits: float) -> Iterator[Callable[..., object]]:
    """A served desk in a thread of its own; gives a function that has something done in that thread."""
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with serving(desk, str(path), **limits):
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert started.wait(5)
    try:
        yield loop.call_soon_threadsafe
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@pytest.fixture
def desk() -> MemoryDesk:
    return MemoryDesk()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobd.sock"


def test_a_submit_gives_an_id_that_knows_its_state(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk), Client(str(path)) as client:
        made = client.submit("backup", {"a": 1}, key="k", priority="high", delay=timedelta(minutes=5))
        assert (made, made.state, made.duplicate) == (1, "queued", False)
        again = client.submit("backup", key="k")
        assert (again, again.duplicate) == (1, True)
        assert client.submit_command(["echo", "x"], timeout="5m") == 2
        late = client.submit("backup", run_at=datetime(2030, 1, 1, tzinfo=UTC))
        assert client.run(late)["run_at"] == "2030-01-01T00:00:00Z"


def test_the_jobs_payload_is_used_unless_one_is_given(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk), Client(str(path)) as client:
        client.submit("send-mail")
        client.submit("send-mail", None)
        assert [run["payload"] for run in client.runs()] == [None, {"template": "plain"}]


def test_many_are_submitted_at_once_or_not_at_all(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk), Client(str(path)) as client:
        assert client.submit_many({"job": "backup", "payload": n} for n in range(5)) == [1, 2, 3, 4, 5]
        with pytest.raises(Invalid) as refused:
            client.submit_many([{"job": "backup"}, {"job": "bakup"}])
        assert refused.value.errors == [("/1/job", 'there is no job "bakup" (did you mean "backup"?)')]
        assert refused.value.problem is not None
        assert refused.value.problem["status"] == 422
        assert len(desk.reads.records) == 5


def test_refusals_are_the_exceptions_of_their_kind(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk), Client(str(path)) as client:
        run = client.submit("backup")
        with pytest.raises(NotFound, match="there is no run 99"):
            client.run(99)
        with pytest.raises(Conflict):
            client.retry(run)
        with pytest.raises(TooLarge):
            client.submit("backup", "x" * 2_000_000)
        desk.refusal = Unavailable("storage_full: no space")
        with pytest.raises(Unavailable, match="storage_full"):
            client.submit("backup")


def test_lists_are_read_over_pages(desk: MemoryDesk, path: Path) -> None:
    for _ in range(2500):
        submitted(desk)
    with daemon(path, desk), Client(str(path)) as client:
        assert [run["id"] for run in client.runs(limit=2200)] == list(range(2500, 300, -1))
        assert [run["id"] for run in client.runs(limit=3, state="queued", job="backup")] == [2500, 2499, 2498]


def test_every_question_has_its_answer(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk), Client(str(path)) as client:
        run = client.submit("backup")
        assert client.status()["healthy"] is True
        assert client.health()["healthy"] is True
        assert client.version()["name"] == "jobd"
        assert [job["name"] for job in client.jobs()] == ["backup", "off", "send-mail", "stubborn"]
        assert client.job("backup")["queue"] == "default"
        assert len(client.next("backup", 3)) == 3
        assert client.queues()[0]["name"] == "default"
        assert client.slots(job="backup")[0]["disposition"] == "started"
        assert client.attempts(run) == []
        assert client.cancel(run) == "cancelled"
        assert client.retry(run, {"n": 2}) == "queued"
        assert client.reload(dry_run=True)["dry_run"] is True


def test_waiting_ends_with_the_run_or_with_patience(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk) as in_daemon, Client(str(path)) as client:
        run = client.submit("backup")
        assert client.wait(run, 0.05)["final"] is False
        threading.Timer(0.1, in_daemon, (desk.move, run, RunState.SUCCEEDED)).start()
        assert client.wait(run, 10)["state"] == "succeeded"


def test_output_is_followed_to_its_end(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk) as in_daemon, Client(str(path)) as client:
        run = submitted(desk)
        desk.start_attempt(run)
        desk.write(run, b"one")
        chunks = client.output(run, "stdout", follow=True)
        assert next(chunks) == b"one"
        in_daemon(desk.write, run, b"two")
        assert next(chunks) == b"two"
        in_daemon(desk.end_attempt, run)
        assert list(chunks) == []
        assert b"".join(client.output(run, offset=3, stream="stdout")) == b"two"
        with pytest.raises(NotFound):
            list(client.output(99))


def test_one_connection_serves_many_calls(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk), Client(str(path)) as client:
        client.version()
        wire = client._wire
        for _ in range(10):
            client.version()
        assert client._wire is wire


def test_a_daemon_that_was_restarted_is_found_again(desk: MemoryDesk, path: Path) -> None:
    client = Client(str(path))
    with daemon(path, desk):
        client.version()
    with daemon(path, desk):
        assert client.submit("backup") == 1
    with pytest.raises(Unreachable, match="is it running"):
        client.version()


def test_a_connection_the_daemon_dropped_for_its_silence_is_made_again(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk, idle_seconds=0.2), Client(str(path)) as client:
        client.version()
        assert client._wire is not None
        deadline = time.monotonic() + 5
        while client._wire.is_fresh() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.submit("backup") == 1


def canned(path: Path, *answers: bytes) -> threading.Thread:
    """A server that takes a connection for each answer, reads what comes at once, answers and hangs up."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def run() -> None:
        with server:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_never_taken_for_one(path: Path, answer: bytes) -> None:
    canned(path, answer)
    with pytest.raises(Unreachable):
        Client(str(path)).submit("backup")


def test_an_answer_without_a_length_ends_with_the_connection(path: Path) -> None:
    canned(path, b'HTTP/1.1 200 OK\r\n\r\n{"id": 3, "state": "queued"}')
    assert Client(str(path)).submit("backup") == 3


def test_a_lost_submit_is_not_sent_twice(path: Path) -> None:
    """A connection that breaks after the request was sent leaves open whether it was carried out."""
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    got: list[bytes] = []

    def run() -> None:
        connection, _ = server.accept()
        with server, connection:
            connection.recv(65536)
            connection.sendall(good)
            got.append(connection.recv(65536))

    thread = threading.Thread(target=run)
    thread.start()
    client = Client(str(path))
    client.version()
    with pytest.raises(Unreachable, match="whether the request was carried out is not known"):
        client.submit("backup")
    thread.join(5)
    assert len(got) == 1
    assert got[0].startswith(b"POST /v1/runs")


def test_a_daemon_that_does_not_answer_is_given_up(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with pytest.raises(Unreachable, match=r"did not answer within 0\.1 s"):
            Client(str(path), timeout_seconds=0.1).version()


def test_what_json_does_not_have_is_refused_before_it_is_sent(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk), Client(str(path)) as client:
        with pytest.raises(ValueError, match="Out of range float"):
            client.submit("backup", float("nan"))
        with pytest.raises(TypeError, match="needs its time zone"):
            client.submit("backup", run_at=datetime(2030, 1, 1))
        with pytest.raises(TypeError):
            client.submit("backup", {1, 2})
        assert desk.intents == []


def test_names_are_quoted_in_paths(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk), Client(str(path)) as client, pytest.raises(NotFound):
        client.job("../runs?x=\r\nä")


def test_the_socket_is_that_of_the_environment_or_the_users_or_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOBD_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_socket() == "/run/jobd/jobd.sock"
    (tmp_path / "jobd").mkdir()
    (tmp_path / "jobd" / "jobd.sock").touch()
    assert default_socket() == str(tmp_path / "jobd" / "jobd.sock")
    monkeypatch.setenv("JOBD_SOCKET", "/x/y")
    assert default_socket() == "/x/y"


def test_the_client_brings_nothing_heavy_with_it() -> None:
    heavy = "{'http', 'asyncio', 'email', 'ssl', 'urllib', 'logging', 'dataclasses', 'aiohttp', 'pydantic', 'click'}"
    script = f"import sys, jobd.client; print(*sorted({heavy} & {{name.split('.')[0] for name in sys.modules}}))"
    root = Path(client_module.__file__).parents[2]
    found = subprocess.run([sys.executable, "-S", "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_everything_a_submit_says_arrives(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk), Client(str(path)) as client:
        payload = {"text": "é\U0001f600\n\x1b", "n": [1, 2.5, None, True]}
        client.submit("backup", payload, queue="slow", max_attempts=2)
    (intent,) = desk.intents
    assert isinstance(intent, Submit)
    assert (intent.requests[0].payload, intent.requests[0].queue) == (payload, "slow")


def test_events_are_told_as_they_happen(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk) as in_daemon, Client(str(path)) as client:
        told = client.events(since=desk.recent.last, job="backup")
        in_daemon(desk.recent.take, RunAccepted(7, "backup", "default", Trigger.SUBMIT, NOW))
        first = next(told)
        assert (first["kind"], first["run"]) == ("run_accepted", 7)
        assert list(client.events(follow=False, since=first["id"])) == []


def test_holds_and_dead_letters_have_calls(desk: MemoryDesk, path: Path) -> None:
    with daemon(path, desk), Client(str(path)) as client:
        desk.move(submitted(desk), RunState.FAILED)
        assert [one["run"] for one in client.dead_letters(queue="default")] == [1]
        assert client.retry_dead(1, dry_run=True) == [1]
        assert client.drop_dead(1) == [1]
        assert client.pause("backup", until="2h", note="moving")["paused"] is True
        client.resume(queue="default")
        client.pause()

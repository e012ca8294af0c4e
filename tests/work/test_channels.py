"""Carrying messages: what channels need comes from files, and no error or result has any of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from jobd.core.executors import Failed, Work, find
from jobd.work.executors.python import Context
from tests.work.servers import free_port

SECRET = "3f1c9a-not-for-anybody"
MESSAGE = {"channel": "c", "occasion": "failure", "at": "2026-03-01T12:00:00Z", "title": "t", "text": "x"}


def carry(tmp_path: Path, options: dict[str, Any], kind: str = "healthcheck", **message: Any) -> Any:
    """What comes of a message through a channel with these options."""
    known = tmp_path / "channels.json"
    known.write_text(json.dumps({"c": {"kind": kind, "options": options}}))
    context = Context(7, 1, "jobd.notify.c", lambda fraction, text: None)
    work = Work({"channel": "c"}, MESSAGE | message, context, {"channels": str(known), "http_deny": []})
    return find("jobd.notify").run(work)


@contextmanager
def answering(status: int, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """The URL of a server that answers every POST so, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_ping_goes_where_its_signal_says_with_the_query_of_its_url(tmp_path: Path) -> None:
    with answering(200) as (url, asked):
        address = tmp_path / "url"
        address.write_text(f"# ours\n{url}/{SECRET}/?create=1\n")
        for signal in ("start", "success", "7", "log"):
            done = carry(tmp_path, {"url_file": str(address)}, signal=signal, rid="r")
            assert done == {"status": 200}
    ends = ["/start", "", "/7", "/log"]
    assert asked == [f"/{SECRET}{end}?create=1&rid=r" for end in ends]


def test_no_error_tells_the_url_of_a_channel(tmp_path: Path) -> None:
    closed = f"http://127.0.0.1:{free_port()}/{SECRET}"
    with pytest.raises(Failed, match="channel c: ") as gone:
        carry(tmp_path, {"url": closed}, signal="start")
    with answering(302, Location=f"http://example.org/{SECRET}") as (url, _), pytest.raises(Failed) as moved:
        carry(tmp_path, {"url": f"{url}/{SECRET}"}, signal="start")
    assert SECRET not in f"{gone.value} {moved.value}"
    assert gone.value.retryable
    assert not moved.value.retryable


def test_a_server_that_wants_to_be_left_alone_is_left_alone(tmp_path: Path) -> None:
    with answering(429, **{"Retry-After": "90"}) as (url, _), pytest.raises(Failed) as refused:
        carry(tmp_path, {"url": url}, signal="start")
    assert (refused.value.retryable, refused.value.retry_in_seconds) == (True, 90.0)


@pytest.mark.parametrize("content", [None, "", "# nothing\n", "not a url\n"])
def test_a_file_that_names_no_url_is_said_to(tmp_path: Path, content: str | None) -> None:
    address = tmp_path / "url"
    if content is not None:
        address.write_text(content)
    with pytest.raises(Failed, match=str(address)) as failed:
        carry(tmp_path, {"url_file": str(address)}, signal="start")
    assert not failed.value.retryable


def test_a_channel_that_was_taken_out_gets_nothing(tmp_path: Path) -> None:
    (tmp_path / "channels.json").write_text("{}")
    context = Context(7, 1, "jobd.notify.c", lambda fraction, text: None)
    work = Work({"channel": "c"}, MESSAGE, context, {"channels": str(tmp_path / "channels.json")})
    with pytest.raises(Failed, match=r"channel c is not in jobd\.yaml any more") as failed:
        find("jobd.notify").run(work)
    assert not failed.value.retryable


def test_without_apprise_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(Failed, match=r"pip install 'jobd\[apprise\]'"):
        carry(tmp_path, {"urls": ["json://127.0.0.1/x"]}, "apprise")


def test_a_service_that_apprise_does_not_know_is_counted_and_not_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("apprise")
    with pytest.raises(Failed, match="1 of 1 URLs are none that apprise knows") as failed:
        carry(tmp_path, {"urls": [f"nothing://{SECRET}"]}, "apprise")
    assert SECRET not in f"{failed.value} {capfd.readouterr()}"

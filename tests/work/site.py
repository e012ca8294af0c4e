"""A real HTTP server on loopback that remembers what it was asked and answers as the path says."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Site:
    url: str
    seen: list[dict[str, Any]] = field(default_factory=list)
    """Method, path, headers, body and the peer's port of each request, in the order in which they came."""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    """What to answer next, before what the path says."""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    @property
    def connections(self) -> int:
        return len({one["port"] for one in self.seen})


@contextmanager
def site(tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    if tls is not None:
        # The handshake is the business of the connection's own thread: one that fails holds nobody up.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    made = Site(f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}")
    server.site = made  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode(),
            "port": self.client_address[1],
        }
        site.seen.append(seen)
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if site.answers:
            self._say(*site.answers.pop(0))
        elif parts.path.startswith("/status/"):
            self._say(int(parts.path.split("/")[2]), query, b"as asked")
        elif parts.path == "/big":
            self._pour()
        elif parts.path == "/drip":
            self._drip()
        elif parts.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"only this")
            self.close_connection = True
        else:
            self._say(200, {"Content-Type": "application/json"}, json.dumps(seen).encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815

    def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _pour(self) -> None:
        """A gigabyte, or as much as is taken of it."""
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        try:
            for _ in range(1 << 14):
                self.wfile.write(b"x" * (1 << 16))
        except OSError:
            self.close_connection = True

    def _drip(self) -> None:
        """Headers, a letter at a time, for longer than anybody has patience; each letter is an answer of a kind."""
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(600):
                self.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            pass
        self.close_connection = True

    def handle(self) -> None:
        with suppress(OSError):  # a handshake that came to nothing, or a peer that has had enough
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at `seen`."""

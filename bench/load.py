"""A client that costs next to nothing: prepared requests on plain sockets, in a process of its own.

`python -m bench.load SOCKET` takes a line of JSON for each slice: {kind, connections, seconds}. It answers with a line
of what was done: {count, seconds}.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from typing import Any

_PAYLOAD = {"customer": 4711, "text": "x" * 160}
BATCH = 100


def _post(body: Any) -> bytes:
    text = json.dumps(body, separators=(",", ":")).encode()
    head = "POST /v1/runs HTTP/1.1\r\nHost: jobd\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(text)}\r\n\r\n".encode() + text


_RUN = {"job": "wait", "payload": _PAYLOAD}
REQUESTS = {
    "version": b"GET /v1/version HTTP/1.1\r\nHost: jobd\r\n\r\n",
    "submit": _post(_RUN),
    "batch": _post([_RUN] * BATCH),
}


class Link:
    """One connection with one request in flight."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self._got = b""
        self._whole = 0

    def send(self, request: bytes) -> None:
        self._got, self._whole = b"", 0
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Read what is there; whether the answer is whole. Raises RuntimeError for one that is no success."""
        piece = self.socket.recv(65536)
        if not piece:
            raise RuntimeError("jobd closed the connection")
        self._got += piece
        if not self._whole:
            self._whole = _length(self._got)
        return bool(self._whole) and len(self._got) >= self._whole


def _length(answer: bytes) -> int:
    """How long an answer is, or 0 while its head is not there."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return 0
    if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
        raise RuntimeError(answer.decode(errors="replace"))
    at = answer.index(b"Content-Length: ") + 16
    return end + 4 + int(answer[at : answer.index(b"\r", at)])


def work(links: list[Link], request: bytes, seconds: float) -> tuple[int, float]:
    """Keep one request in flight on every link for so long: how many were answered, and the time until the last."""
    poll, by_fd, count = select.epoll(), {link.socket.fileno(): link for link in links}, 0
    began = time.perf_counter()
    for link in links:
        poll.register(link.socket, select.EPOLLIN)
        link.send(request)
    waiting, deadline = len(links), began + seconds
    while waiting:
        for fd, _ in poll.poll():
            link = by_fd[fd]
            if not link.is_answered():
                continue
            count += 1
            if time.perf_counter() < deadline:
                link.send(request)
            else:
                waiting -= 1
    poll.close()
    return count, time.perf_counter() - began


class Load:
    """The load process, from outside."""

    def __init__(self, path: str) -> None:
        arguments = [sys.executable, "-m", "bench.load", path]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def rate(self, kind: str, connections: int, seconds: float) -> float:
        """Answered requests per second over one slice."""
        asked = json.dumps({"kind": kind, "connections": connections, "seconds": seconds})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(asked.encode() + b"\n")
        self._process.stdin.flush()
        done = json.loads(self._process.stdout.readline() or '{"count": 0, "seconds": 1}')
        if not done["count"]:
            raise RuntimeError("the load process has ended; what it said is above")
        return float(done["count"] / done["seconds"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def main() -> None:
    links: list[Link] = []
    for line in sys.stdin:
        asked = json.loads(line)
        links += [Link(sys.argv[1]) for _ in range(asked["connections"] - len(links))]
        count, seconds = work(links[: asked["connections"]], REQUESTS[asked["kind"]], asked["seconds"])
        print(json.dumps({"count": count, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()

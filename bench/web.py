"""A server on loopback that answers everything at once with the same, and the barest client of it.

`python -m bench.web` prints the port it listens on, and serves until its input ends.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: identity\r\nUser-Agent: bench\r\n\r\n"


@contextmanager
def server() -> Iterator[int]:
    """The port of a server that is there for a while, in a process of its own."""
    arguments = [sys.executable, "-m", "bench.web"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def ask_for(seconds: float, port: str) -> int:
    """Requests over one connection that stays open, each answer read whole."""
    count, deadline = 0, time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", int(port))) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < deadline:
            link.sendall(_REQUEST)
            got = b""
            while len(got) < len(_ANSWER):
                piece = link.recv(4096)
                assert piece, "the server closed the connection"
                got += piece
            count += 1
    return count


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listening.getsockname()[1], flush=True)
    links: dict[int, socket.socket] = {}
    poll = select.epoll()
    poll.register(listening, select.EPOLLIN)
    poll.register(sys.stdin, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == sys.stdin.fileno():
                return
            if fd == listening.fileno():
                link, _ = listening.accept()
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                links[link.fileno()] = link
                poll.register(link, select.EPOLLIN)
                continue
            # Every request has no body and comes in one piece.
            if b"\r\n\r\n" in links[fd].recv(65536):
                links[fd].sendall(_ANSWER)
            else:
                links.pop(fd).close()


if __name__ == "__main__":
    main()

"""The supervisor's handle on the forkserver: starts the program, asks it for workers, starts it again.

Imported and started before anything heavy, so that what the forkserver is started from is small too.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jobd.core.model import Json
from jobd.work import spawned
from jobd.work.meeting import Meeting
from jobd.work.wire import Hire, Message, from_bytes, to_bytes

_LARGEST = 65536


@dataclass(frozen=True, slots=True)
class _Start:
    runtime_dir: str
    output_dir: str
    python_path: tuple[str, ...]
    command_prefix: tuple[str, ...]
    apart: bool
    delegated: bool


class ForkServer:
    """A running forkserver. `closed` is true once it has ended; `generation` counts its starts."""

    def __init__(self, start: _Start, settings: Mapping[str, Json]) -> None:
        self._start_values = start
        self.settings = settings
        """What jobd.yaml says to executors: every worker is told it as it is hired."""
        self.generation = 0
        self.closed = True
        self._socket: socket.socket | None = None
        self._meeting: Meeting | None = None
        self._pidfd: int | None = None
        """Of one that somebody else started, once it has come."""
        self._launch()

    @classmethod
    def start(
        cls,
        runtime_dir: str,
        output_dir: str,
        python_path: Sequence[str] = (),
        command_prefix: Sequence[str] = (),
        *,
        apart: bool = False,
        delegated: bool = False,
        settings: Mapping[str, Json] | None = None,
    ) -> ForkServer:
        """Start it and return at once; its first message is `Ready`.

        `command_prefix` is put before the command line (systemd-run …); `apart` says that this has somebody else start
        it, who hands no descriptor on, and `delegated` that it will find itself in a cgroup of its own to divide;
        `settings` are what jobd.yaml says to executors. Raises OSError where the program cannot be started.
        """
        paths = tuple(os.path.abspath(path) for path in python_path)
        start = _Start(
            os.path.abspath(runtime_dir),
            os.path.abspath(output_dir),
            paths,
            tuple(command_prefix),
            apart,
            delegated,
        )
        return cls(start, settings or {})

    def restart(self) -> None:
        """Start another one in place of one that has ended. Raises OSError where that cannot be."""
        self.close()
        self._launch()
        try:
            self._met()
        except OSError:
            self.closed = True
            raise

    def fileno(self) -> int:
        """The socket to it. Raises OSError where it could not be started."""
        return self._met().fileno()

    @property
    def pid(self) -> int:
        """The process that was started: the forkserver, or whatever asks the manager for it."""
        return self._process.pid

    def hire(self, number: int, end: socket.socket, tally: int) -> None:
        """Ask for worker `number` at this end of a socket pair, with a memory file in which it notes what it begins.

        Raises OSError where the request is not taken.
        """
        socket.send_fds(self._met(), [to_bytes(Hire(number, self.settings))], [end.fileno(), tally])

    def receive(self) -> list[Message]:
        """Every message that has arrived, without waiting."""
        messages: list[Message] = []
        while not self.closed:
            try:
                data = self._met().recv(_LARGEST)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if data:
                messages.append(from_bytes(data))
            else:
                self.closed = True
        return messages

    def close(self) -> None:
        """Let go of it: it ends as soon as its workers have."""
        self.closed = True
        if self._meeting is not None:
            self._meeting.close()
        if self._socket is not None:
            self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds of blocking."""
        if self._pidfd is not None:
            return bool(select.select([self._pidfd], [], [], seconds)[0])
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _launch(self) -> None:
        values = self._start_values
        program = [*values.command_prefix, *spawned.command("forkserver")]
        if self._pidfd is not None:
            os.close(self._pidfd)
        self._socket = self._meeting = self._pidfd = None
        if values.apart:
            self._meeting = Meeting(values.runtime_dir)
            self._process = _start([*program, self._meeting.path], subprocess.DEVNULL)
        else:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = _start(program, theirs.fileno())
            self._socket = self._greet(ours)
        self.closed = False
        self.generation += 1

    def _met(self) -> socket.socket:
        """The socket to it, once it has come: it starts while the supervisor imports what that needs."""
        if self._socket is None:
            assert self._meeting is not None
            try:
                sock, self._pidfd = self._meeting.wait(self._process)
            finally:
                self._meeting.close()
            self._process.wait()
            self._socket = self._greet(sock)
        return self._socket

    def _greet(self, sock: socket.socket) -> socket.socket:
        """Say what it has to know: the first thing it reads, and no argument, since those are for everybody to see."""
        values = self._start_values
        told = {
            "runtime_dir": values.runtime_dir,
            "output_dir": values.output_dir,
            "python_path": values.python_path,
            "delegated": values.delegated,
        }
        sock.send(json.dumps(told).encode())
        sock.setblocking(False)
        return sock


def _start(command: Sequence[str], standard_input: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=standard_input, start_new_session=True, cwd="/")

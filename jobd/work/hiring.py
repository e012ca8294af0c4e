"""The supervisor's handle on the forkserver: starts the program, asks it for workers, starts it again.

Imported and started before anything heavy, so that what the forkserver is started from is small too.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jobd.core.model import Json
from jobd.work.wire import Hire, Message, from_bytes, to_bytes

_LARGEST = 65536
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# With -I neither the current directory nor PYTHONPATH is searched: where jobd itself lies must be said.
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from jobd.work.forkserver import main; main()"


@dataclass(frozen=True, slots=True)
class _Start:
    runtime_dir: str
    output_dir: str
    python_path: tuple[str, ...]
    command_prefix: tuple[str, ...]
    delegated: bool


class ForkServer:
    """A running forkserver. `closed` is true once it has ended; `generation` counts its starts."""

    def __init__(self, start: _Start, settings: Mapping[str, Json]) -> None:
        self._start_values = start
        self.settings = settings
        """What jobd.yaml says to executors: every worker is told it as it is hired."""
        self.generation = 0
        self.closed = True
        self._launch()

    @classmethod
    def start(
        cls,
        runtime_dir: str,
        output_dir: str,
        python_path: Sequence[str] = (),
        command_prefix: Sequence[str] = (),
        *,
        delegated: bool = False,
        settings: Mapping[str, Json] | None = None,
    ) -> ForkServer:
        """Start it and return at once; its first message is `Ready`.

        `command_prefix` is put before the command line (systemd-run --scope …); `delegated` says that it will find
        itself in a cgroup of its own to divide; `settings` are what jobd.yaml says to executors. Raises OSError where
        the program cannot be started.
        """
        paths = tuple(os.path.abspath(path) for path in python_path)
        start = _Start(
            os.path.abspath(runtime_dir),
            os.path.abspath(output_dir),
            paths,
            tuple(command_prefix),
            delegated,
        )
        return cls(start, settings or {})

    def restart(self) -> None:
        """Start another one in place of one that has ended."""
        self.close()
        self._launch()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def pid(self) -> int:
        return self._process.pid

    def hire(self, number: int, end: socket.socket, tally: int) -> None:
        """Ask for worker `number` at this end of a socket pair, with a memory file in which it notes what it begins.

        Raises OSError where the request is not taken.
        """
        socket.send_fds(self._socket, [to_bytes(Hire(number, self.settings))], [end.fileno(), tally])

    def receive(self) -> list[Message]:
        """Every message that has arrived, without waiting."""
        messages: list[Message] = []
        while not self.closed:
            try:
                data = self._socket.recv(_LARGEST)
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
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds of blocking."""
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _launch(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        values = self._start_values
        told = {
            "fd": theirs.fileno(),
            "runtime_dir": values.runtime_dir,
            "output_dir": values.output_dir,
            "python_path": values.python_path,
            "delegated": values.delegated,
        }
        with theirs:
            self._process = subprocess.Popen(
                [*values.command_prefix, sys.executable, "-I", "-c", _PROGRAM, _ROOT, json.dumps(told)],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
            )
        self._socket = ours
        self.closed = False
        self.generation += 1

"""The daemon's end of a sink: a bounded queue, a process that is started again when it ends, and a count of all that.

Nothing here waits: what the sink does not take in time is dropped and counted.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jobd.core.model import Json
from jobd.work import spawned

_MOST_WAITING_BYTES = 1024 * 1024
_LONGEST_PAUSE_SECONDS = 60.0
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Ears:
    """Whom an outlet tells what."""

    on_counted: Callable[[str, str, int], None]
    """Name of the sink; `taken`, `failed`, `lost` or `dropped`; how many events."""
    on_ailing: Callable[[str, str], None]
    """Name of the sink, and what is wrong with it; nothing once it is well."""


class Outlet:
    def __init__(
        self, name: str, options: Json, path: Sequence[str], loop: asyncio.AbstractEventLoop, ears: Ears
    ) -> None:
        self._name, self._options, self._path = name, options, list(path)
        self._loop, self._ears = loop, ears
        self._waiting = bytearray()
        self._said = b""
        self._pause = 0.0
        self._reason = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._start()

    def take(self, event: bytes) -> None:
        """One event, as a line of JSON. It may be lost, but never waited for."""
        if len(self._waiting) + len(event) > _MOST_WAITING_BYTES:
            self._ears.on_counted(self._name, "dropped", 1)
            return
        was_empty = not self._waiting
        self._waiting += event
        if was_empty and self._socket is not None:
            self._loop.add_writer(self._socket, self._send)

    def close(self) -> None:
        """Hand over what waits, and give the sink a moment to be done with it."""
        if self._socket is None or self._process is None:
            return
        self._unhook()
        self._socket.settimeout(_PATIENCE_SECONDS)
        with suppress(OSError):
            self._socket.sendall(self._waiting)
            self._socket.shutdown(socket.SHUT_WR)
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._socket.close()
        self._socket = None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        told = {"fd": theirs.fileno(), "name": self._name, "options": self._options, "path": self._path}
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [*spawned.command("sinkhost"), json.dumps(told)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    cwd="/",
                )
            except OSError as error:
                ours.close()
                self._try_later(f"it could not be started: {error}")
                return
        self._socket = ours
        self._loop.add_reader(ours, self._hear)
        if self._waiting:
            self._loop.add_writer(ours, self._send)

    def _send(self) -> None:
        assert self._socket is not None
        try:
            del self._waiting[: self._socket.send(self._waiting)]
        except BlockingIOError:
            return
        except OSError:
            self._loop.remove_writer(self._socket)
            return
        if not self._waiting:
            self._loop.remove_writer(self._socket)

    def _hear(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            self._note(json.loads(line))

    def _note(self, said: dict[str, Json]) -> None:
        for what in ("taken", "failed", "lost"):
            if said[what]:
                self._ears.on_counted(self._name, what, said[what])
        if said["error"]:
            self._reason = said["error"]
            self._ears.on_ailing(self._name, self._reason)
        elif said["is_well"]:
            self._pause, self._reason = 0.0, ""
            self._ears.on_ailing(self._name, "")

    def _lose(self) -> None:
        """The process has ended: what it had been sent is lost, what waits may still have its turn."""
        assert self._socket is not None and self._process is not None
        self._unhook()
        self._socket.close()
        self._socket, self._said = None, b""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        # Half a line may have been sent: the rest of it would be nonsense to the next process.
        cut = self._waiting.find(b"\n") + 1
        del self._waiting[:cut]
        self._try_later(self._reason or f"it ended with {self._process.returncode}")

    def _try_later(self, reason: str) -> None:
        self._pause = min(max(self._pause * 2, 1.0), _LONGEST_PAUSE_SECONDS)
        self._ears.on_ailing(self._name, f"{reason}; started again in {self._pause:g} s")
        self._loop.call_later(self._pause, self._start)

    def _unhook(self) -> None:
        assert self._socket is not None
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)

"""Where log entries are written: to journald in its own protocol, or in lines of text or JSON on a descriptor.

Each brings an entry into its form, with every control character visible, and writes it without ever waiting.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from jobd.core.escapes import visible
from jobd.core.spans import rfc3339
from jobd.observe.sentences import Entry

JOURNAL_SOCKET = "/run/systemd/journal/socket"
_LONGEST_MESSAGE = 32 * 1024
_LONGEST_LINE = 4096
"""What a pipe takes at once when it says it is writable."""


class Destination(Protocol):
    """Somewhere that entries go to."""

    def fileno(self) -> int: ...
    def format(self, entry: Entry) -> bytes: ...
    def write(self, record: bytes) -> bool:
        """Whether the record was taken; False to try again later. Raises OSError where nobody is there."""
        ...


class Journald:
    """The native protocol of systemd-journald (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram is one entry."""

    def __init__(self, path: str = JOURNAL_SOCKET) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def format(self, entry: Entry) -> bytes:
        values = {"MESSAGE": safe(entry.message), "PRIORITY": str(int(entry.priority)), "SYSLOG_IDENTIFIER": "jobd"}
        return b"".join(_field(name, value) for name, value in (values | entry.fields).items())

    def write(self, record: bytes) -> bool:
        try:
            self._socket.send(record)
        except BlockingIOError:
            return False
        except OSError:
            self._socket.connect(self._path)  # journald was restarted; its socket is a new one at the old path
            self._socket.send(record)
        return True


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="backslashreplace")[:_LONGEST_MESSAGE]
    if b"\n" in data:
        return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


class Stream:
    """Lines on a descriptor, as a rule stderr: for people with the time, for journald with the priority in front."""

    def __init__(
        self, descriptor: int = 2, *, has_prefix: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self._descriptor = descriptor
        self._has_prefix = has_prefix
        self._clock = clock
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def fileno(self) -> int:
        return self._descriptor

    def format(self, entry: Entry) -> bytes:
        front = f"<{int(entry.priority)}>" if self._has_prefix else f"{self._time()} {entry.priority.name.lower()} "
        line = (front + safe(entry.message)).encode(errors="backslashreplace")
        return (line if len(line) < _LONGEST_LINE else line[: _LONGEST_LINE - 4] + b"...") + b"\n"

    def _time(self) -> str:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._clock()))

    def write(self, record: bytes) -> bool:
        # The descriptor is shared with whoever started us, so it is asked and not made non-blocking.
        ready = self._poll.poll(0)
        if not ready:
            return False
        if not ready[0][1] & select.POLLOUT:
            raise BrokenPipeError("nobody reads the log")
        os.write(self._descriptor, record)
        return True


class JsonLines(Stream):
    """An object a line, with the fields of the entry by their names in lower case, in ASCII."""

    def format(self, entry: Entry) -> bytes:
        front = f"<{int(entry.priority)}>" if self._has_prefix else ""
        told = {name.lower().removeprefix("jobd_"): value for name, value in entry.fields.items()}
        at = rfc3339(datetime.fromtimestamp(self._clock(), UTC))
        message = safe(entry.message)
        line = _object(at, entry, message, told)
        while len(front) + len(line) >= _LONGEST_LINE and message:
            # An escape of JSON is up to twelve characters long: cut until it fits.
            message = message[: len(message) * 3 // 4]
            line = _object(at, entry, message + "...", told)
        return f"{front}{line}\n".encode()


def _object(at: str, entry: Entry, message: str, told: dict[str, str]) -> str:
    return json.dumps({"at": at, "level": entry.priority.name.lower(), "message": message} | told)


def safe(text: str) -> str:
    """Text on one line with every character that moves a terminal, or hides text on it, as a visible escape."""
    return visible(text[:_LONGEST_MESSAGE])

"""Passes what an attempt writes on to journald, line by line, beside keeping it: `output: {journal: true}`.

Lines are masked, made visible and bounded in length and rate. A journald that is slow or not there costs lines, never
the attempt: what is kept as output is all of it in any case.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from jobd.core.escapes import visible
from jobd.core.masking import Masker
from jobd.core.model import Json
from jobd.work import credentials
from jobd.work.orders import Order
from jobd.work.output import Capture, path_of

JOURNAL_SOCKET = "/run/systemd/journal/socket"
LINES_PER_SECOND = 1000
MOST_AT_ONCE = 2000
_LONGEST_LINE = 16 * 1024
_PATIENCE_SECONDS = 1.0
"""What an attempt waits for journald at most, all its lines together."""
_PRIORITIES = {"stdout": 6, "stderr": 4}
"""Info and warning, in the words of syslog."""


def captures(order: Order, output_dir: str, mask: Json) -> tuple[Capture, Capture]:
    """What keeps stdout and stderr of an attempt and forwards them; `mask` is `logging.mask`."""
    masker = Masker(mask if isinstance(mask, list) else (), credentials.known(order.secrets))

    def of(stream: str) -> Capture:
        path = path_of(output_dir, order.key.run, order.key.attempt, stream)
        return Forwarded(path, order.output_max_bytes, JournalLines(order, stream, masker))

    return of("stdout"), of("stderr")


class Forwarded(Capture):
    """A capture whose lines also go to `lines`."""

    def __init__(self, path: str, max_bytes: int, lines: JournalLines) -> None:
        super().__init__(path, max_bytes)
        self._lines = lines

    def write(self, data: bytes | memoryview) -> None:
        super().write(data)
        self._lines.take(bytes(data))

    def close(self) -> None:
        self._lines.end()
        super().close()


class JournalLines:
    """The records of one stream of an attempt."""

    def __init__(
        self,
        order: Order,
        stream: str,
        masker: Masker,
        *,
        path: str = JOURNAL_SOCKET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fields = b"".join(
            f"{name}={visible(value)}\n".encode(errors="backslashreplace")
            for name, value in (
                ("SYSLOG_IDENTIFIER", order.job),
                ("JOBD_JOB", order.job),
                ("JOBD_RUN_ID", str(order.key.run)),
                ("JOBD_ATTEMPT", str(order.key.attempt)),
                ("JOBD_QUEUE", order.queue),
                ("JOBD_STREAM", stream),
            )
        )
        self._run = order.key.run
        self._priority = _PRIORITIES[stream]
        self._masked = masker.stream()
        self._rest = b""
        self._clock = clock
        self._allowance, self._allowed_at = float(MOST_AT_ONCE), clock()
        self._missing = 0
        self._patience = _PATIENCE_SECONDS
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        with suppress(OSError):  # what cannot be sent is counted where it is
            self._socket.connect(path)

    def take(self, data: bytes) -> None:
        """Send the lines that `data` completes."""
        *lines, self._rest = (self._rest + self._masked.feed(data)).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        self._send(lines)

    def end(self) -> None:
        """Send what is left, and how much was not sent."""
        self._send((self._rest + self._masked.close()).removesuffix(b"\n").split(b"\n"))
        if self._missing:
            self._write(4, f"{self._missing} lines were not forwarded; jobd-ctl logs {self._run} has all that is kept")
        self._socket.close()

    def _send(self, lines: Iterable[bytes]) -> None:
        now = self._clock()
        grown = self._allowance + (now - self._allowed_at) * LINES_PER_SECOND
        self._allowance, self._allowed_at = min(grown, MOST_AT_ONCE), now
        for line in lines:
            if not line:
                continue
            if self._allowance < 1 or not self._write(self._priority, line[:_LONGEST_LINE].decode(errors="replace")):
                self._missing += 1
            else:
                self._allowance -= 1

    def _write(self, priority: int, text: str) -> bool:
        record = f"MESSAGE={visible(text)}\nPRIORITY={priority}\n".encode(errors="backslashreplace") + self._fields
        try:
            try:
                self._socket.send(record)
            except BlockingIOError:
                if not self._is_ready():
                    return False
                self._socket.send(record)
        except OSError:
            return False
        return True

    def _is_ready(self) -> bool:
        """Wait for a journald that has much to do, as long as there is patience left with it."""
        start = time.monotonic()
        ready = select.select([], [self._socket], [], max(self._patience, 0.0))[1]
        self._patience -= time.monotonic() - start
        return bool(ready)

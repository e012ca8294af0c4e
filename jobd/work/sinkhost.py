"""The process of one sink: takes events as lines of JSON, hands each to the sink, and says how that went."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from jobd.core.brought import Unusable
from jobd.core.sinks import Sink, make
from jobd.work import tree

_PIECE = 64 * 1024
_LONGEST_ERROR = 300
_QUIET_SECONDS = 1.0
"""After so long without an event a sink may pass on what it has gathered."""


@dataclass(slots=True)
class _Tally:
    """What became of the events since the last word about it."""

    taken: int = 0
    failed: int = 0
    lost: int = 0
    error: str = ""
    is_well: bool = False


def main() -> None:
    """Run with one argument: a JSON object with `fd`, `name`, `options` and the `path` to find packages in."""
    told = json.loads(sys.argv[-1])
    sys.path.extend(told["path"])
    tree.set_title(f"jobd: sink {told['name']}")
    sock = socket.socket(fileno=told["fd"])
    sock.set_inheritable(False)
    try:
        sink = make(told["name"], told["options"])
    except Unusable as error:
        _say(sock, _Tally(error=str(error)))
        sys.exit(1)
    _Host(sock, sink).serve()
    sink.close()


class _Host:
    """Hands events to the sink, and says what became of them whenever there is a moment for it."""

    def __init__(self, sock: socket.socket, sink: Sink) -> None:
        self._sock, self._sink = sock, sink
        self._tally = _Tally()
        self._ails = False

    def serve(self) -> None:
        """Until the daemon has nothing more to tell."""
        rest = b""
        while data := self._sock.recv(_PIECE):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._hand_over(line)
            if not self._has_more(0):
                self._tell()
            if not self._has_more(_QUIET_SECONDS) and hasattr(self._sink, "flush"):
                self._guard(self._sink.flush)
                self._tell()
        self._tell()

    def _has_more(self, seconds: float) -> bool:
        return bool(select.select([self._sock], [], [], seconds)[0])

    def _hand_over(self, line: bytes) -> None:
        if self._guard(lambda: self._sink.take(json.loads(line))):
            self._tally.taken += 1
        else:
            self._tally.failed += 1

    def _guard(self, act: Callable[[], object]) -> bool:
        """Whether it went well; whatever the code of others raises, the next event is another chance."""
        try:
            act()
        except Exception as error:
            self._tally.error = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
            return False
        return True

    def _tell(self) -> None:
        told, self._tally = self._tally, _Tally()
        ailment = ""
        if hasattr(self._sink, "lost"):
            told.lost, ailment = self._sink.lost()
        told.error = told.error or ailment[:_LONGEST_ERROR]
        # A sink that told what ails it is asked again; another one is well when it takes something.
        told.is_well = not told.error and (self._ails or told.taken > 0)
        self._ails = bool(ailment)
        _say(self._sock, told)


def _say(sock: socket.socket, told: _Tally) -> None:
    try:
        sock.sendall(json.dumps(asdict(told)).encode() + b"\n")
    except OSError:
        os._exit(0)  # the daemon is gone, and with it all that could be told

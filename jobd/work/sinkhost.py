"""The process of one sink: takes events as lines of JSON, hands each to the sink, and says how that went."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from dataclasses import dataclass

from jobd.core.brought import Unusable
from jobd.core.sinks import Sink, make
from jobd.work import tree

_PIECE = 64 * 1024
_LONGEST_ERROR = 300


@dataclass(slots=True)
class _Tally:
    """What became of the events since the last word about it."""

    taken: int = 0
    failed: int = 0
    error: str = ""


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
    _serve(sock, sink)
    sink.close()


def _serve(sock: socket.socket, sink: Sink) -> None:
    """Until the daemon has nothing more to tell."""
    rest, tally = b"", _Tally()
    while data := sock.recv(_PIECE):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            _hand_over(sink, line, tally)
        if not select.select([sock], [], [], 0)[0]:
            _say(sock, tally)
            tally = _Tally()
    _say(sock, tally)


def _hand_over(sink: Sink, line: bytes, tally: _Tally) -> None:
    try:
        sink.take(json.loads(line))
        tally.taken += 1
    except Exception as error:  # whatever the code of others raises, the next event is another chance
        tally.failed += 1
        tally.error = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]


def _say(sock: socket.socket, tally: _Tally) -> None:
    said = {"taken": tally.taken, "failed": tally.failed, "error": tally.error}
    try:
        sock.sendall(json.dumps(said).encode() + b"\n")
    except OSError:
        os._exit(0)  # the daemon is gone, and with it all that could be told

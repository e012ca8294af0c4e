"""Shows a run's output: as it was kept, or as it comes, stdout and stderr side by side."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from itertools import count

from jobd.cli.session import Session
from jobd.cli.terminal import safe_text
from jobd.core.errors import JobdError, NotFound


class Sink:
    """Writes the bytes of one stream: as they are into a pipe or file, escaped on a terminal (RELIABILITY 2.5).

    Bytes that are not UTF-8 are shown as U+FFFD on a terminal; a character cut in two by a chunk is put together.
    """

    def __init__(self, descriptor: int, lock: threading.Lock, *, is_raw: bool | None = None) -> None:
        import codecs

        self._descriptor = descriptor
        self._lock = lock
        self._is_raw = not os.isatty(descriptor) if is_raw is None else is_raw
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, chunk: bytes, *, is_last: bool = False) -> None:
        if not self._is_raw:
            chunk = safe_text(self._decoder.decode(chunk, is_last)).encode()
        with self._lock:
            while chunk:
                chunk = chunk[os.write(self._descriptor, chunk) :]


def follow(
    session: Session,
    run: int,
    sinks: dict[str, Sink],
    first_attempt: int,
    *,
    lines: int | None = None,
    is_raw: bool = False,
) -> None:
    """Pass on the streams of a run, attempt after attempt, until the run is final.

    Of the first attempt it begins with the last `lines` of what there is. Each stream has a connection of its own.
    Raises the first error of any of them.
    """
    sys.stdout.flush()
    failures: list[BaseException] = []

    def pump(stream: str, sink: Sink) -> None:
        try:
            for attempt in count(first_attempt):
                last = lines if attempt == first_attempt else None
                copy(session.output(run, stream, attempt=attempt, follows=True, lines=last, is_raw=is_raw), sink)
        except NotFound:
            return  # the run is over, and this attempt never was
        except (JobdError, OSError) as error:
            failures.append(error)

    threads = [threading.Thread(target=pump, args=pair, daemon=True) for pair in sinks.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def copy(chunks: Iterator[bytes], sink: Sink) -> None:
    for chunk in chunks:
        sink.write(chunk)
    sink.write(b"", is_last=True)

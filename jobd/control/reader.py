"""Takes the output of one attempt from its files: from an offset or the last lines on, masked unless as it is.

Masking has no thread of its own. It takes small pieces, and between two of them others have their turn: a text made to
be slow holds nobody up for longer than one piece takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from jobd.control.ports import Desk
from jobd.core.masking import Stream

_CHUNK = 64 * 1024
_MASKED_CHUNK = 8 * 1024
_LOOK_BACK = 64 * 1024
"""From so far before an offset on text is looked at, to know a secret that began before it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of which attempt is asked for: from the offset of the one stream, or the last lines of each."""

    run: int
    attempt: int
    streams: tuple[str, ...]
    offset: int
    lines: int | None
    is_raw: bool


class Reader:
    """One stream, piece by piece; `begin` comes first."""

    def __init__(self, desk: Desk, wanted: Wanted, stream: str) -> None:
        self._desk, self._wanted, self._stream = desk, wanted, stream
        self._offset = wanted.offset
        self._masked: Stream | None = None

    async def begin(self) -> None:
        """Find the place to begin at, and look at what stands before it."""
        if self._wanted.lines is not None:
            self._offset = await self._start_of_last(self._wanted.lines)
        if self._wanted.is_raw:
            return
        before = self._before()
        self._masked = self._desk.masker(self._wanted.run).stream(skip=len(before))
        for at in range(0, len(before), _MASKED_CHUNK):
            self._masked.feed(before[at : at + _MASKED_CHUNK])
            await asyncio.sleep(0)

    def more(self) -> tuple[bytes, bool, bool]:
        """What can be handed out, whether anything new was there, and whether nothing will follow."""
        chunk, self._offset, ended = self._read(self._offset, _CHUNK if self._masked is None else _MASKED_CHUNK)
        if self._masked is None:
            return chunk, bool(chunk), ended
        return self._masked.feed(chunk) if chunk else b"", bool(chunk), ended

    def pause(self) -> bytes:
        """What of an unfinished line can be shown while nothing comes."""
        return self._masked.pause() if self._masked is not None else b""

    def rest(self) -> bytes:
        return self._masked.close() if self._masked is not None else b""

    def _read(self, offset: int, limit: int) -> tuple[bytes, int, bool]:
        return self._desk.outputs.read(self._wanted.run, self._wanted.attempt, self._stream, offset, limit)

    async def _start_of_last(self, lines: int) -> int:
        """Where the last lines of what there is begin; an unfinished last line counts as one."""
        at, starts = 0, deque([0], maxlen=lines + 1)
        while True:
            chunk, following, _ended = self._read(at, _CHUNK)
            if not chunk:
                break
            found = chunk.find(b"\n")
            while found >= 0:
                # Behind the line that stands for a part that was not kept comes what follows that part.
                starts.append(at + found + 1 if found + 1 < len(chunk) else following)
                found = chunk.find(b"\n", found + 1)
            at = following
            await asyncio.sleep(0)
        if starts[-1] == at:
            starts.pop()  # nothing of that line is there yet
        return starts[-min(lines, len(starts))] if lines and starts else at

    def _before(self) -> bytes:
        """The text in front of the offset, unless a part that was not kept lies there."""
        text, at = b"", max(0, self._offset - _LOOK_BACK)
        while at < self._offset:
            chunk, following, _ended = self._read(at, self._offset - at)
            if not chunk or following > self._offset:
                return b""
            text, at = text + chunk, following
        return text

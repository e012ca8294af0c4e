"""The end of what an attempt wrote, as people are told of it: whole lines, without secrets."""

from __future__ import annotations

from jobd.core.masking import Masker
from jobd.work.output import OutputFiles

_LOOKED_AT = 8 * 1024
_MOST_BYTES = 2048
_MOST_LINES = 20


def of(outputs: OutputFiles, masker: Masker, run: int, attempt: int) -> str:
    """The last lines of stderr, and of stdout where there are none."""
    for stream in ("stderr", "stdout"):
        data, is_all = outputs.end_of(run, attempt, stream, _LOOKED_AT)
        if data and (text := _lines(masker.mask(data), is_all=is_all)):
            return text
    return ""


def _lines(data: bytes, *, is_all: bool) -> str:
    lines = data.rstrip(b"\n").split(b"\n")
    if not is_all:
        # The first line begins before what was looked at: a secret in it might be half a one, which nothing finds.
        lines = lines[1:]
    kept: list[bytes] = []
    for line in reversed(lines[-_MOST_LINES:]):
        if sum(map(len, kept)) + len(line) > _MOST_BYTES:
            break
        kept.append(line)
    return b"\n".join(reversed(kept)).decode(errors="replace")

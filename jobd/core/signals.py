"""The names of signals, as people write them: `TERM`, `SIGTERM`, `15`, `RTMIN+1`."""

from __future__ import annotations

import re
from signal import Signals

from jobd.core.names import closest

_FIRST_REALTIME, _LAST_REALTIME = 34, 64
"""What Linux leaves to programs; 32 and 33 are the C library's own."""
_REALTIME = re.compile(r"RTM(IN|AX)([+-]\d{1,2})?")


def number_of(text: str | int) -> int:
    """The number of a signal by its name or number. Raises ValueError with what is meant perhaps."""
    word = str(text).strip().upper().removeprefix("SIG")
    number = int(word) if word.isascii() and word.isdecimal() and len(word) <= 2 else _named(word)
    if number is None:
        meant = closest(word, [one.name[3:] for one in Signals])
        raise ValueError(f"{str(text)[:40]!r} is no signal" + (f" (did you mean {meant}?)" if meant else ""))
    if not (number in _numbers() or _FIRST_REALTIME <= number <= _LAST_REALTIME):
        raise ValueError(f"there is no signal {number} that a program can be sent")
    return number


def name_of(number: int) -> str:
    """The name of a signal: `SIGTERM`, `SIGRTMIN+1`."""
    if number in _numbers():
        return Signals(number).name
    return f"SIGRTMIN+{number - _FIRST_REALTIME}"


def _named(word: str) -> int | None:
    if (found := _REALTIME.fullmatch(word)) is not None:
        return (_FIRST_REALTIME if found[1] == "IN" else _LAST_REALTIME) + int(found[2] or 0)
    return int(Signals[f"SIG{word}"]) if f"SIG{word}" in Signals.__members__ else None


def _numbers() -> set[int]:
    return {int(one) for one in Signals}

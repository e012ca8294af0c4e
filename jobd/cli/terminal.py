"""What may reach a terminal and how it looks there: escapes of hostile text, tones, width. Words are made elsewhere."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import Enum
from typing import TextIO

from jobd.cli.measure import flowed


class Tone(Enum):
    """Why a piece of text stands out; the value is its SGR code."""

    PLAIN = ""
    GOOD = "32"
    BAD = "31"
    NOTE = "33"
    DIM = "2"
    TITLE = "1"


def _escapes() -> dict[int, str]:
    """Controls (C0, DEL, C1), bidi controls, line separators and lone surrogates, each as Python writes it."""
    hostile = [*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
    return {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in hostile}


_LINE = _escapes() | {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
_TEXT = {code: shown for code, shown in _LINE.items() if code not in (0x09, 0x0A)}


def safe_line(text: str) -> str:
    """`text` on one line and without anything that a terminal would obey (RELIABILITY 2.5)."""
    return _no_surrogates(text).translate(_LINE)


def safe_text(text: str) -> str:
    """As `safe_line`, with newlines and tabs left alone."""
    return _no_surrogates(text).translate(_TEXT)


def _no_surrogates(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class Screen:
    """Where text goes to: whether a person looks at it, in colour or not, and how many columns there are."""

    is_terminal: bool = False
    has_color: bool = False
    width: int | None = None
    """None where lines may be as long as they like."""

    def paint(self, text: str, tone: Tone) -> str:
        """`text` in its tone where there is colour. The text has to be safe already."""
        if not self.has_color or not tone.value or not text:
            return text
        return f"\x1b[{tone.value}m{text}\x1b[0m"


def screen_of(stream: TextIO, *, wants_color: bool = True) -> Screen:
    """The facts of `stream`. `NO_COLOR` (set and not empty) and `TERM=dumb` turn colour off."""
    if not stream.isatty():
        return Screen()
    mute = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Screen(is_terminal=True, has_color=wants_color and not mute, width=_columns(stream))


def _columns(stream: TextIO) -> int:
    """The width of a terminal; `COLUMNS` overrides what it says, and 100 stands for one that says nothing."""
    try:
        return int(os.environ.get("COLUMNS", "")) or 100
    except ValueError:
        pass  # not set, or no number: ask the terminal
    try:
        return os.get_terminal_size(stream.fileno()).columns or 100
    except (OSError, ValueError):
        return 100


def complain(message: str) -> None:
    """Say what went wrong, on stderr, as every message of jobd-ctl begins."""
    for line in flowed(f"jobd-ctl: {safe_text(message)}", screen_of(sys.stderr).width):
        print(line, file=sys.stderr, flush=True)

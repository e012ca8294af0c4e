"""A whole terminal for a live view: taken at the start, given back as it was on every way out."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_TAKE = "\x1b[?1049h\x1b[?25l"
_GIVE_BACK = "\x1b[0m\x1b[?25h\x1b[?1049l"
_LONGEST_KEY_SECONDS = 0.05
"""What belongs to one key comes together; a lone Esc is followed by nothing."""

_ONE_KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|.", re.DOTALL)
_KEYS = {
    "\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down", "\x1b[5~": "page up", "\x1b[6~": "page down",
    "\x1b[H": "home", "\x1bOH": "home", "\x1b[1~": "home", "\x1b[F": "end", "\x1bOF": "end", "\x1b[4~": "end",
    "\x1bOP": "h", "\x1b[11~": "h", "\x1b[21~": "q", "\x1b": "q", "k": "up", "j": "down",
}  # fmt: skip


class Console:
    """The terminal, while it is taken. Frames are written whole."""

    def __init__(self) -> None:
        self._input = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._typed = ""
        """Keys that came together and have not been asked for yet."""
        self._wakes, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = termios.tcgetattr(self._input) if self._input is not None else None

    def take(self) -> None:
        if self._input is not None:
            tty.setcbreak(self._input)
        self._write(_TAKE)

    def give_back(self) -> None:
        # Who has hung up takes nothing any more.
        with suppress(OSError):
            self._write(_GIVE_BACK)
        if self._input is not None and self._before is not None:
            with suppress(OSError, termios.error):
                termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        with suppress(OSError):
            found = os.get_terminal_size(sys.stdout.fileno())
            return found.columns or 80, found.lines or 24
        return 80, 24

    def draw(self, lines: list[str]) -> None:
        self._write("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")

    def key(self, seconds: float) -> str | None:
        """The next key by its name, at most so long from now; "" where the terminal changed, None for nothing."""
        if not self._typed:
            watched = [self._wakes] + ([self._input] if self._input is not None else [])
            ready, _, _ = select.select(watched, [], [], seconds)
            if self._wakes in ready:
                os.read(self._wakes, 512)
                return ""
            if self._input is None or not ready:
                return None
            self._typed = self._read(self._input)
        found = _ONE_KEY.match(self._typed)
        if found is None:
            return "q"  # the terminal is gone
        self._typed = self._typed[found.end() :]
        return _KEYS.get(found[0], found[0])

    @staticmethod
    def _read(terminal: int) -> str:
        typed = os.read(terminal, 64)
        if typed == b"\x1b" and select.select([terminal], [], [], _LONGEST_KEY_SECONDS)[0]:
            typed += os.read(terminal, 64)
        return typed.decode("utf-8", "replace")

    def wake(self) -> None:
        """Let whoever waits for a key look again."""
        with suppress(BlockingIOError):
            os.write(self._woken, b"\0")

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


@contextmanager
def taken() -> Iterator[Console]:
    """The terminal for the time of the block. It is given back also when a signal ends or stops the program."""
    console = Console()

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def changed(_number: int, _: FrameType | None) -> None:
        console.wake()

    def stop(_number: int, _: FrameType | None) -> None:
        console.give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, stop)
        console.take()
        console.wake()

    handlers = {signal.SIGTERM: end, signal.SIGHUP: end, signal.SIGWINCH: changed, signal.SIGTSTP: stop}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        console.take()
        yield console
    finally:
        console.give_back()
        for number, handler in before.items():
            signal.signal(number, handler)

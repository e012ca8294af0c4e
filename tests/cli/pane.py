"""A real terminal: tmux, of which a test sees what a person would."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed (packaging/setup-tools)")
ROOT = Path(__file__).parent.parent.parent
CTL = f"{shlex.quote(sys.executable)} -m jobd.cli.ctl"
_DEADLINE_SECONDS = 60.0
_OVER = re.compile(r"^\[exit (\d+)\]$", re.MULTILINE)


class Pane:
    """A terminal with one command in it, which stays there when the command has ended."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *words: str) -> str:
        program = ["tmux", "-u", "-S", str(self._socket), "-f", "/dev/null", *words]
        return subprocess.run(program, check=True, capture_output=True, encoding="utf-8", timeout=30, cwd=ROOT).stdout

    def text(self, *, with_tones: bool = False) -> str:
        """What stands on the terminal; a line that it had to wrap is one line here, and too long."""
        return self.tmux("capture-pane", "-p", "-J", *(["-e"] if with_tones else [])).rstrip()

    def until(self, is_there: Callable[[str], bool], what: str) -> str:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not is_there(text := self.text()):
            assert time.monotonic() < deadline, f"there was no {what}:\n{text}"
            time.sleep(0.05)
        return text

    def ended(self) -> tuple[str, int]:
        """What stands there at the end of the command, and its exit code."""
        text = self.until(lambda text: _OVER.search(text) is not None, "end of the command")
        found = _OVER.search(text)
        assert found is not None
        return text[: found.start()], int(found[1])

    def type(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def pid(self, below: str) -> int:
        """The process in the terminal that runs `below`."""
        shell = int(self.tmux("display-message", "-p", "#{pane_pid}"))
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        (found,) = [int(one) for one in children if below in Path(f"/proc/{one}/cmdline").read_text()]
        return found


@contextmanager
def pane(command: str, columns: int, lines: int, **environment: str) -> Iterator[Pane]:
    """A terminal of this size in which the shell runs `command`."""
    known = {key: os.environ[key] for key in ("PATH", "HOME", "LD_LIBRARY_PATH") if key in os.environ}
    words = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONPATH": str(ROOT), **known, **environment}
    given = " ".join(shlex.quote(f"{key}={value}") for key, value in words.items())
    script = f'trap : INT\n{command}\necho "[exit $?]"; exec sleep 600'
    size = ("-x", str(columns), "-y", str(lines))
    with tempfile.TemporaryDirectory(prefix="jobd-") as short:  # the path of a socket has to be
        made = Pane(Path(short) / "tmux")
        made.tmux("new-session", "-d", *size, f"exec env -i {given} /bin/sh -c {shlex.quote(script)}")
        try:
            yield made
        finally:
            program = ["tmux", "-S", str(made._socket), "kill-server"]
            subprocess.run(program, check=False, capture_output=True, timeout=30)

"""Debian's cron as a process of its own with crontabs of its own; it and the host see nothing of each other."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

_MOUNTED = """
mount --bind "$1/cron.d" /etc/cron.d && mount --bind "$1/spool" /var/spool/cron/crontabs &&
mount --bind "$1/crontab" /etc/crontab && mount -t tmpfs none /run && exec cron -f
"""
_LINES = 500
"""Lines of one file: cron bounds them."""


def missing() -> str | None:
    """Why cron cannot be measured here; None where it can."""
    if os.geteuid() != 0:
        return "cron needs root"
    if shutil.which("cron") is None:
        return "cron is not installed (apt-get install cron)"
    if shutil.which("unshare") is None:
        return "there is no unshare (util-linux)"
    return None


class Cron:
    """A running cron that has so many commands due at each of some minutes."""

    def __init__(self, directory: Path, due: Mapping[int, int]) -> None:
        """`due`: minute, in seconds since 1970 → how many commands."""
        self._directory = directory
        for name in ("cron.d", "spool"):
            (directory / name).mkdir()
        (directory / "crontab").touch()
        for minute, count in due.items():
            self._write(directory / "cron.d", minute, count)
        script = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _MOUNTED, "sh", str(directory)]
        self._process = subprocess.Popen(script, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _stamps(self, minute: int) -> Path:
        return self._directory / f"stamps-{minute}"

    def _write(self, directory: Path, minute: int, count: int) -> None:
        self._stamps(minute).touch()
        at = time.localtime(minute)
        when = f"{at.tm_min} {at.tm_hour} {at.tm_mday} {at.tm_mon} *"
        line = f"{when} root exec date +\\%s.\\%N >>{self._stamps(minute)}\n"
        for number in range(0, count, _LINES):
            file = directory / f"due-{minute}-{number}"
            file.write_text('MAILTO=""\n' + line * min(_LINES, count - number))
            file.chmod(0o644)

    def starts(self, minute: int) -> list[float]:
        """When the commands of a minute started, in seconds since 1970, the earliest first."""
        return sorted(map(float, self._stamps(minute).read_text().split()))

    def await_all(self, minute: int, count: int, patience: float) -> list[float]:
        """The starts of a minute once they are all there, or no more of them come."""
        deadline = time.monotonic() + max(0.0, minute - time.time()) + patience
        while len(found := self.starts(minute)) < count and time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError("cron has ended")
            time.sleep(0.2)
        return found

    def close(self) -> None:
        self._process.kill()  # unshare is deaf to SIGTERM; all that is in its namespace goes with it
        self._process.wait()

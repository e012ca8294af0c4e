"""Where programs are: by name on the fixed PATH that every job starts with, whatever its own says."""

from __future__ import annotations

import os
import stat

from jobd.work.environment import PATH

_DIRECTORIES = PATH.split(":")


class Programs:
    """Implements `core.allowlist.Disk` by looking anew each time: what was there a moment ago may have changed."""

    def find(self, name: str) -> str | None:
        return next((path for directory in _DIRECTORIES if _is_program(path := f"{directory}/{name}")), None)

    def real(self, path: str) -> str | None:
        try:
            return os.path.realpath(path, strict=True)
        except (OSError, ValueError):
            return None


def _is_program(path: str) -> bool:
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_mode & 0o111 != 0

"""What starts programs of jobd's own, and what they are told by: memory files, which nobody else can look into."""

from __future__ import annotations

import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def command(module: str) -> list[str]:
    """The command line of a new interpreter that runs `main` of a module beside this one; arguments may follow.

    With -I neither the current directory nor PYTHONPATH is searched: where jobd itself lies must be said.
    """
    text = f"import sys; sys.path.insert(0, sys.argv[1]); from jobd.work.{module} import main; main()"
    return [sys.executable, "-I", "-c", text, _ROOT]


def memory_file(name: str, data: bytes) -> int:
    """A file in memory with this in it, to be read from its beginning; closed on exec. Raises OSError."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd

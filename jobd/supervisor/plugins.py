"""Which of `python_path` this process takes plug-ins from: what it loads of them runs with its own rights."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable

from jobd.definitions import ownership


def admit(directories: Iterable[str]) -> None:
    """Let plug-ins in these directories be found, but for those that somebody else can write to.

    A worker has all of `python_path`, since it runs the jobs of whoever may define them.
    """
    for directory in directories:
        if _is_ours(directory) and directory not in sys.path:
            sys.path.append(directory)


def has_module(name: str) -> bool:
    """Whether a package is there to be imported, without doing so."""
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def _is_ours(directory: str) -> bool:
    try:
        return ownership.fault_of_directory(directory) is None
    except OSError:
        return False

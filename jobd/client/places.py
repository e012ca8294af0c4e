"""Finds the socket of the jobd that is meant when nobody names one."""

from __future__ import annotations

import os
import sys

SYSTEM_SOCKET = "/run/jobd/jobd.sock"


def default_socket() -> str:
    """JOBD_SOCKET; else that of the jobd of this virtual environment, of this user's own jobd, of the system.

    A virtual environment's is named by the file `jobd-socket` in it, which `make run` leaves there.
    """
    if named := os.environ.get("JOBD_SOCKET") or _named_by_environment():
        return named
    own = os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"), "jobd", "jobd.sock")
    return own if os.path.exists(own) else SYSTEM_SOCKET


def _named_by_environment() -> str:
    if sys.prefix == sys.base_prefix:
        return ""
    try:
        with open(os.path.join(sys.prefix, "jobd-socket"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""  # there is none: the usual places follow

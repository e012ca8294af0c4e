"""The exit codes of jobd-ctl: a contract with scripts."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What jobd-ctl itself says; `wait` and `run --wait` add the codes of the jobs they waited for."""

    OK = 0
    FAILED = 1
    """Something failed or is degraded."""
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    NOT_PERMITTED = 5
    INVALID = 6
    """Definitions have problems."""
    DUPLICATE = 10
    """A run with that key was there already and was kept."""
    TIMEOUT = 124
    JOBD_FAILED = 125
    """The run ended without a process of the job having ended: cancelled, lost, skipped, expired."""

"""Where jobd's files are when nobody says otherwise: for the system, and for one user by the XDG rules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paths:
    """Absolute paths; `jobs_dirs` lists the lowest precedence first."""

    config: str
    jobs_dirs: tuple[str, ...]
    state_dir: str
    runtime_dir: str


SYSTEM = Paths(
    config="/etc/jobd/jobd.yaml",
    jobs_dirs=("/usr/lib/jobd/jobs.d", "/run/jobd/jobs.d", "/etc/jobd/jobs.d"),
    state_dir="/var/lib/jobd",
    runtime_dir="/run/jobd",
)


def of_user(environ: Mapping[str, str], uid: int | None = None) -> Paths:
    """The paths of one user; the variables are HOME and those of the XDG base directory specification.

    Without XDG_RUNTIME_DIR the runtime directory is `/run/user/UID` where the host has one, else below the state.
    """
    home = environ.get("HOME") or os.path.expanduser("~")
    config = os.path.join(_xdg(environ, "XDG_CONFIG_HOME", os.path.join(home, ".config")), "jobd")
    state = os.path.join(_xdg(environ, "XDG_STATE_HOME", os.path.join(home, ".local", "state")), "jobd")
    of_session = f"/run/user/{os.getuid() if uid is None else uid}"
    runtime = _xdg(environ, "XDG_RUNTIME_DIR", of_session if os.path.isdir(of_session) else "")
    return Paths(
        config=os.path.join(config, "jobd.yaml"),
        jobs_dirs=(os.path.join(config, "jobs.d"),),
        state_dir=state,
        runtime_dir=os.path.join(runtime, "jobd") if runtime else os.path.join(state, "run"),
    )


def _xdg(environ: Mapping[str, str], name: str, otherwise: str) -> str:
    """The value of an XDG variable; a relative one is to be ignored, as the specification says."""
    value = environ.get(name, "")
    return value if os.path.isabs(value) else otherwise

"""Programs that only tell something, asked by a command line: no job, no daemon, nothing left running."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from jobd.core.errors import JobdError, NotFound

_PATIENCE_SECONDS = 20


def told(argv: Sequence[str]) -> bytes:
    """What a program prints on stdout. Raises NotFound where there is no such program, JobdError where it fails."""
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=_PATIENCE_SECONDS, check=False
        )
    except FileNotFoundError:
        raise NotFound(f"there is no program {argv[0]} on this host") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JobdError(f"{' '.join(argv)}: {error}") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise JobdError(f"{' '.join(argv)}: {said}")
    return done.stdout

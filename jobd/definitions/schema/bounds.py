"""What the processes of a job may take of the host, and their place among others."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field

from jobd.core import model
from jobd.core.shown import shown
from jobd.definitions.schema.kinds import Read, Size, Words, duration, whole

_IONICE = re.compile(r"idle|(best-effort|realtime)(?::([0-7]))?", re.ASCII)
_MIDDLE = 4


def _ionice(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 7:
        return f"best-effort:{value}"
    match = _IONICE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f"{shown(value)} is not an I/O class (idle, best-effort or realtime with :0 to :7 after it, or 0 to 7)"
        )
    return match[0] if match[1] is None else f"{match[1]}:{match[2] or _MIDDLE}"


Ionice = Annotated[
    str,
    Read(
        _ionice,
        {
            "anyOf": [
                {"type": "string", "pattern": f"^(?:{_IONICE.pattern})$"},
                {"type": "integer", "minimum": 0, "maximum": 7},
            ]
        },
    ),
]


class Limits(Words):
    files: Annotated[int, whole(8, 1_073_741_816)] | None = Field(
        default=None, description="Descriptors that a process may have open (RLIMIT_NOFILE)."
    )
    file_size: Size | None = Field(default=None, description="How large a file may be made (RLIMIT_FSIZE).")
    core: Size | None = Field(default=None, description="How large a core dump may be (RLIMIT_CORE); 0 for none.")
    cpu_time: Annotated[float, duration(1.0)] | None = Field(
        default=None, description="CPU time that one process may use (RLIMIT_CPU), in whole seconds."
    )
    best_effort: bool = Field(
        default=False, description="Run without what cannot be applied, instead of refusing the attempt."
    )

    def limits(self) -> model.Limits:
        return model.Limits(
            files=self.files,
            file_size=self.file_size,
            core=self.core,
            cpu_time=self.cpu_time,
            best_effort=self.best_effort,
        )


class Bounded(Words):
    nice: Annotated[int, whole(-20, 19)] = 0
    ionice: Ionice | None = Field(default=None, description="The I/O class and level of its processes.")
    oom_score_adjust: Annotated[int, whole(-1000, 1000)] | None = Field(
        default=None, description="Whom the kernel ends first where memory runs out: 1000 first, -1000 never."
    )
    limits: Limits = Limits()

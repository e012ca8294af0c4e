"""What the processes of a job may take of the host, and their place among others."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field

from jobd.core import model, spans
from jobd.core.shown import shown
from jobd.definitions.schema.kinds import Read, Size, Words, duration, sized, whole

_IONICE = re.compile(r"idle|(best-effort|realtime)(?::([0-7]))?", re.ASCII)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%", re.ASCII)
_MIDDLE = 4
_LEAST_MEMORY = 1024 * 1024


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


def _share(value: Any) -> float:
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 1 <= float(match[1]) <= 100_000:
        raise ValueError(f"{shown(value)} is not a share of the CPU (try 50%, or 200% for two CPUs; at least 1%)")
    return float(match[1]) / 100


def _memory(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{shown(value)} is not a size (try 512MiB or 1GiB)")
    if (most := spans.size(value)) < _LEAST_MEMORY:
        raise ValueError(f"{shown(value)} is too little memory for any program (at least 1MiB)")
    return most


def _file_size(value: Any) -> int:
    return model.UNLIMITED if value == "unlimited" else sized(value)


FileSize = Annotated[
    int,
    Read(_file_size, {"type": ["string", "integer"], "description": "A size in bytes (512KiB, 1GiB) or unlimited."}),
]
CpuShare = Annotated[float, Read(_share, {"type": "string", "pattern": f"^{_PERCENT.pattern}$"})]
Memory = Annotated[
    int, Read(_memory, {"type": ["string", "integer"], "description": "A size in bytes: 512MiB, 1GiB; at least 1MiB."})
]


class Limits(Words):
    memory: Memory | None = Field(
        default=None, description="Memory of all its processes together, without swap; beyond it they are ended."
    )
    cpu: CpuShare | None = Field(default=None, description="CPU time of all its processes per time: 50%, 200%.")
    tasks: Annotated[int, whole(1, 4_194_304)] | None = Field(
        default=None, description="Processes and threads at once; 512 where it can be had and nothing is said."
    )
    io: Annotated[int, whole(1, 10_000)] | None = Field(
        default=None, description="The weight of its I/O beside that of others; 100 is usual."
    )
    files: Annotated[int, whole(8, 1_073_741_816)] | None = Field(
        default=None, description="Descriptors that a process may have open (RLIMIT_NOFILE)."
    )
    file_size: FileSize | None = Field(
        default=None,
        description="How large a file may be made (RLIMIT_FSIZE), or unlimited; 1GiB where not said.",
    )
    core: Size | None = Field(default=None, description="How large a core dump may be (RLIMIT_CORE); 0 for none.")
    cpu_time: Annotated[float, duration(1.0)] | None = Field(
        default=None, description="CPU time that one process may use (RLIMIT_CPU), in whole seconds."
    )
    best_effort: bool = Field(
        default=False, description="Run without what cannot be applied, instead of refusing the attempt."
    )

    def limits(self) -> model.Limits:
        return model.Limits(
            memory=self.memory,
            cpu=self.cpu,
            tasks=self.tasks,
            io=self.io,
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

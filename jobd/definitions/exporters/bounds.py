"""What a job may take of the host, as settings of a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobd.core.model import Job

LIMITS = {
    "memory": "MemoryMax",
    "cpu": "CPUQuota",
    "tasks": "TasksMax",
    "files": "LimitNOFILE",
    "file_size": "LimitFSIZE",
    "core": "LimitCORE",
    "cpu_time": "LimitCPU",
    "io": "IOWeight",
}


def settings(job: Job, words: Mapping[str, Any]) -> list[str]:
    """The lines of the service; limits stand in them as the definition has them."""
    lines = [f"UMask={job.umask:04o}", f"Nice={job.nice}"]
    if job.ionice is not None:
        kind, _, level = job.ionice.partition(":")
        lines += [f"IOSchedulingClass={kind}", *([f"IOSchedulingPriority={level}"] if level else [])]
    if job.oom_score_adjust is not None:
        lines.append(f"OOMScoreAdjust={job.oom_score_adjust}")
    limits = words.get("limits")
    if isinstance(limits, dict):
        lines += [f"{LIMITS[key]}={_limit(value)}" for key, value in limits.items() if key in LIMITS]
    return lines


def unsaid(words: Mapping[str, Any]) -> list[str]:
    """The limits that no setting stands for."""
    return [key for key in words.get("limits") or () if key not in LIMITS]


def _limit(value: Any) -> str:
    if value == "unlimited":
        return "infinity"
    return str(value).replace("iB", "").replace("B", "")

"""What an attempt used, in words: CPU time, memory, disk, context switches, output, and what it left behind."""

from __future__ import annotations

from typing import Any

from jobd.cli.times import lasted
from jobd.core.names import counted
from jobd.core.spans import show_size

Usage = dict[str, Any]


def columns(usage: Usage | None) -> list[str]:
    """CPU, peak memory, bytes read and written, context switches: cells of a table."""
    if not usage:
        return ["-"] * 5
    peak = usage["peak_memory_bytes"]
    return [
        f"{cpu_seconds(usage):.2f}s",
        show_size(peak) if peak else "-",
        show_size(usage["io_read_bytes"]),
        show_size(usage["io_written_bytes"]),
        str(usage["context_switches"]),
    ]


def told(attempt: dict[str, Any]) -> str:
    """Several lines for `show`; nothing of an attempt that has not ended."""
    usage = attempt.get("usage")
    if not usage or attempt.get("outcome") is None:
        return ""
    user, system = (lasted(round(usage[f"cpu_{kind}_seconds"], 3)) for kind in ("user", "system"))
    lines = [f"{lasted(round(cpu_seconds(usage), 3))} of CPU ({user} user, {system} system)"]
    if usage["peak_memory_bytes"]:
        lines.append(f"{show_size(usage['peak_memory_bytes'])} of memory at most")
    lines += [
        f"{show_size(usage['io_read_bytes'])} read from disks, {show_size(usage['io_written_bytes'])} written",
        counted(usage["context_switches"], "context switch", "context switches"),
        f"{show_size(usage['stdout_bytes'])} of stdout, {show_size(usage['stderr_bytes'])} of stderr"
        + (", not all of it kept" if usage["output_cut"] else ""),
    ]
    return "\n".join([*lines, *leftovers(attempt)])


def leftovers(attempt: dict[str, Any]) -> list[str]:
    """What is said of processes that outlived their leader; nothing where there were none."""
    left = (attempt.get("usage") or {}).get("leftovers") or 0
    return [f"attempt {attempt['attempt']} left {counted(left, 'process', 'processes')} behind: ended"] if left else []


def cpu_seconds(usage: Usage) -> float:
    return float(usage["cpu_user_seconds"] + usage["cpu_system_seconds"])

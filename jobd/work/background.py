"""Notes of processes that a job was allowed to leave behind, so that no sweep after a dead worker ends them.

A note is a file `background/RUN.ATTEMPT` with the numbers of processes and sessions. What these start later is known
by its session or by the run and the attempt in its environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from jobd.core.model import AttemptKey, ProcessIdentity
from jobd.work import tree


@dataclass(frozen=True, slots=True)
class Note:
    runtime_dir: str
    key: AttemptKey
    numbers: frozenset[int]

    def covers(self, pid: int) -> bool:
        return (
            pid in self.numbers or _session_of(pid) in self.numbers or tree.belongs_to(pid, self.runtime_dir, self.key)
        )


def write(runtime_dir: str, key: AttemptKey, processes: Iterable[ProcessIdentity]) -> None:
    """Note that these may live on. Their sessions count too, and so does what becomes a session of its own."""
    numbers = {process.pid for process in processes}
    numbers |= {_session_of(pid) for pid in numbers} - {-1}
    with open(f"{runtime_dir}/background/{key}", "w", encoding="ascii") as file:
        file.write(" ".join(map(str, sorted(numbers))))


def read(runtime_dir: str) -> list[Note]:
    """Every note of which a process still lives; the others are removed."""
    try:
        names = os.listdir(f"{runtime_dir}/background")
    except FileNotFoundError:
        return []
    kept = []
    living = tree.all_pids() if names else []
    for name in names:
        note = _parsed(runtime_dir, name)
        if note is not None and any(note.covers(pid) for pid in living):
            kept.append(note)
        else:
            with suppress(FileNotFoundError):
                os.unlink(f"{runtime_dir}/background/{name}")
    return kept


def _parsed(runtime_dir: str, name: str) -> Note | None:
    run, _, attempt = name.partition(".")
    try:
        with open(f"{runtime_dir}/background/{name}", encoding="ascii") as file:
            return Note(runtime_dir, AttemptKey(int(run), int(attempt)), frozenset(map(int, file.read().split())))
    except (OSError, ValueError):
        return None


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1

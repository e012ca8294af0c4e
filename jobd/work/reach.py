"""Signals for the processes of an attempt that is under way, at somebody's word, and never for anybody else's."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from jobd.core.model import AttemptKey, ProcessIdentity
from jobd.work import cgroup, identity, tree


@dataclass(frozen=True, slots=True)
class Holder:
    """Who is at an attempt: its worker, and the process it runs as (None where it runs inside the worker)."""

    worker: ProcessIdentity
    child: ProcessIdentity | None


def signal_tree(runtime_dir: str, key: AttemptKey, holder: Holder, number: int) -> list[int] | None:
    """Signal the attempt's process and everything below it; the pids that were reached, None where it is not there.

    A worker does one thing at a time. So what was below it while the attempt's own process lived belongs to the
    attempt, also what has left its session or its parent; each is signalled through a handle that was compared.
    A strict attempt is below no worker, and known by its group.
    """
    if holder.child is None:
        return None
    found = tree.descendants(holder.worker.pid)
    if (unit := cgroup.unit_path(runtime_dir, key)) is not None and os.path.isdir(unit):
        found = tree.identified(cgroup.everybody(unit))
    if holder.child not in found or not (identity.is_alive(holder.worker) and identity.is_alive(holder.child)):
        return None
    if number == signal.SIGKILL:
        cgroup.kill_attempt_of(holder.child.pid, key)
    return [process.pid for process in found if tree.send(process, number)]

"""What a dead supervisor left in the store: attempts under way, to be adopted or judged before anything is reserved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobd.core.model import AttemptKey, ProcessIdentity
from jobd.core.spans import from_micros
from jobd.core.states import Trigger
from jobd.store.connection import Transaction


@dataclass(frozen=True, slots=True)
class LeftAttempt:
    """An attempt that was under way: who ran it, and what is known of its process."""

    key: AttemptKey
    job_name: str
    spec: int
    timeout_seconds: float | None
    cancelling: bool
    trigger: Trigger
    worker: ProcessIdentity
    child: ProcessIdentity | None
    started_at: datetime


def left_running(tx: Transaction) -> list[LeftAttempt]:
    """Every attempt that was under way when the last supervisor ended."""
    return [_left(row) for row in tx.rows("left_running")]


def _left(row: tuple[Any, ...]) -> LeftAttempt:
    run, attempt, name, spec, timeout, cancelling, trigger, boot, pid, ticks, child_pid, child_ticks, started = row
    boot_id = str(boot)
    child = None if child_pid is None else ProcessIdentity(boot_id, child_pid, child_ticks)
    return LeftAttempt(
        key=AttemptKey(run, attempt),
        job_name=str(name).strip(),
        spec=spec,
        timeout_seconds=timeout,
        cancelling=bool(cancelling),
        trigger=Trigger(str(trigger)),
        worker=ProcessIdentity(boot_id, pid, ticks),
        child=child,
        started_at=from_micros(started),
    )


def next_epoch(tx: Transaction) -> int:
    """The number of this start of jobd: one more than the last."""
    row = tx.row("meta", {"key": "epoch"})
    epoch = int(row[0]) + 1 if row else 1
    tx.run("note_meta", {"key": "epoch", "value": str(epoch)})
    return epoch

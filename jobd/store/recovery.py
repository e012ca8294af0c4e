"""What a dead supervisor left in the store: attempts under way, to be adopted or judged before anything is reserved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jobd.core.model import AttemptKey, ProcessIdentity
from jobd.core.spans import from_micros, from_micros_if, micros
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
    deadline: datetime | None
    """When the time of all attempts of its run is over."""


def left_running(tx: Transaction) -> list[LeftAttempt]:
    """Every attempt that was under way when the last supervisor ended."""
    return [_left(row) for row in tx.rows("left_running")]


def _left(row: tuple[Any, ...]) -> LeftAttempt:
    (
        run,
        attempt,
        name,
        spec,
        timeout,
        cancelling,
        trigger,
        boot,
        pid,
        ticks,
        child_pid,
        child_ticks,
        started,
        deadline,
    ) = row
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
        deadline=from_micros_if(deadline),
    )


def clock_of(tx: Transaction, boot_id: str, wall: datetime, boottime: float) -> tuple[datetime, float]:
    """What both clocks said at once in an earlier life since this boot of the host; if there was none, what they say
    now. Held against a reading it tells how far the wall clock was set meanwhile.
    """
    row = tx.row("meta", {"key": "clock"})
    boot, *known = str(row[0]).split() if row else ["-"]
    if boot == boot_id:
        return from_micros(int(known[0])), float(known[1])
    _note_clock(tx, boot_id, wall, boottime)
    return wall, boottime


def shift_clock(tx: Transaction, stepped: timedelta) -> None:
    """The wall clock was set, and everything that follows from it stands in this transaction."""
    row = tx.row("meta", {"key": "clock"})
    if row is not None:
        boot_id, wall, boottime = str(row[0]).split()
        _note_clock(tx, boot_id, from_micros(int(wall)) + stepped, float(boottime))


def _note_clock(tx: Transaction, boot_id: str, wall: datetime, boottime: float) -> None:
    tx.run("note_meta", {"key": "clock", "value": f"{boot_id} {micros(wall)} {boottime!r}"})


def next_epoch(tx: Transaction) -> int:
    """The number of this start of jobd: one more than the last."""
    row = tx.row("meta", {"key": "epoch"})
    epoch = int(row[0]) + 1 if row else 1
    tx.run("note_meta", {"key": "epoch", "value": str(epoch)})
    return epoch

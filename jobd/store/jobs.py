"""What the store remembers of jobs: their definitions, and up to where their slots are decided."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from jobd.core import spec
from jobd.core.model import Job
from jobd.core.spans import from_micros, from_micros_if, micros, micros_if
from jobd.core.standing import Standing
from jobd.core.states import Disposition
from jobd.store import holds, limits
from jobd.store.connection import Transaction
from jobd.store.submits import JobRef

_MOST_DECIDED = 1000
ADHOC = 0
"""The id under which all ad-hoc runs stand."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Up to where the slots of a job are decided."""

    job: int
    name: str
    first_seen_at: datetime
    watermark: datetime
    last_slot: datetime | None
    ended_at: datetime | None = None
    """When the last run ended; moved along when the clock is set back."""
    boot_id: str | None = None
    """The start of the host up to which slots are decided."""
    next_slot: datetime | None = None
    """The next slot as it was computed last."""


def keep_spec(tx: Transaction, job: Job) -> int:
    """The id of a job's definition, kept from now on."""
    text = spec.to_text(job)
    digest = hashlib.sha256(text.encode()).hexdigest()
    tx.run("add_spec", {"hash": digest, "text": text})
    row = tx.row("spec_id", {"hash": digest})
    assert row is not None
    return int(row[0])


def spec_of(tx: Transaction, spec_id: int) -> Job:
    """The definition a run was accepted under. Raises ValueError where this jobd cannot read it."""
    row = tx.row("spec_text", {"id": spec_id})
    if row is None:
        raise ValueError(f"definition {spec_id} is not in the store")
    return spec.from_text(row[0])


def adopt(tx: Transaction, job: Job, file: str, *, starts_afresh: bool, boot_id: str = "") -> JobRef:
    """Put a job in force. One that starts afresh (its schedule changed, or it was away) owes nothing before now.

    `boot_id` is the start of the host: a job that starts afresh owes nothing for that either.
    """
    spec_id = keep_spec(tx, job)
    bindings = {"name": job.name, "spec": spec_id, "file": file, "now": tx.at, "boot": boot_id}
    row = tx.row("adopt_job", bindings | limits.columns(job))
    assert row is not None
    if starts_afresh:
        holds.take_back_skips(tx, row[0])
        tx.run("reset_watermark", {"name": job.name, "now": tx.at, "boot": boot_id})
    if job.circuit_breaker is None:
        tx.run("note_circuit", {"job": row[0], "failures": 0, "until": None, "trial": None})
    holds.stand_aright(tx, row[0])
    return JobRef(row[0], spec_id)


def remove(tx: Transaction, name: str) -> None:
    """Take a job out of force; its history and its accepted runs stay."""
    tx.run("remove_job", {"name": name, "now": tx.at})


@dataclass(frozen=True, slots=True)
class Stored:
    """A job as the store has it in force."""

    text: str
    file: str
    ref: JobRef

    @property
    def job(self) -> Job | None:
        """Its definition, read anew each time; None where this jobd cannot read it."""
        return _read(self.text)

    def is_defined_as(self, job: Job) -> bool:
        """Whether this is its definition: mostly to the letter, but an older jobd may have written it otherwise."""
        return self.text == spec.to_text(job) or self.job == job


def in_force(tx: Transaction) -> dict[str, Stored]:
    """The jobs the last supervisor left in force, as they were then."""
    return {
        name: Stored(text, file, JobRef(job, spec_id)) for name, file, text, job, spec_id in tx.rows("jobs_in_force")
    }


def _read(text: str) -> Job | None:
    try:
        return spec.from_text(text)
    except (ValueError, KeyError, TypeError):
        return None


def timing(tx: Transaction, job: int, name: str) -> Timing | None:
    """Up to where the slots of one job are decided."""
    row = tx.row("timing", {"job": job})
    return None if row is None else _timing(job, name, *row)


def timings(tx: Transaction) -> list[Timing]:
    """Up to where the slots of every job in force are decided."""
    return [_timing(*row) for row in tx.rows("timings")]


def _timing(
    job: int,
    name: str,
    first_seen: int,
    watermark: int,
    last_slot: int | None,
    ended_at: int | None,
    boot_id: str | None,
    next_slot: int | None,
) -> Timing:
    return Timing(
        job,
        name,
        from_micros(first_seen),
        from_micros(watermark),
        from_micros_if(last_slot),
        from_micros_if(ended_at),
        boot_id,
        from_micros_if(next_slot),
    )


def restand(tx: Transaction, job: int, standing: Standing) -> None:
    """Move all that is known of the slots of a job along with a clock that was set back."""
    tx.run(
        "restand",
        {
            "job": job,
            "first_seen_at": micros(standing.first_seen_at),
            "watermark": micros(standing.watermark),
            "last_slot": micros_if(standing.last_slot),
            "ended_at": micros_if(standing.ended_at),
        },
    )


def move_watermark(
    tx: Transaction,
    job: int,
    watermark: datetime,
    last_slot: datetime | None,
    *,
    next_slot: datetime | None = None,
    boot_id: str = "",
) -> None:
    """No slot of the job at or before `watermark` fires any more, and no slot of this start of the host."""
    bindings = {"job": job, "watermark": micros(watermark), "last_slot": micros_if(last_slot)}
    tx.run("move_watermark", bindings | {"next_slot": micros_if(next_slot), "boot": boot_id})


def note_next_slot(tx: Transaction, job: int, at: datetime | None) -> None:
    """Remember the next slot of a job as it is computed now."""
    tx.run("note_next_slot", {"job": job, "next_slot": micros_if(at)})


@dataclass(frozen=True, slots=True)
class ActiveRuns:
    """The ids of a job's runs that are not final, oldest first."""

    waiting: tuple[int, ...]
    running: tuple[int, ...]
    from_slots: tuple[int, ...]
    """Those that a slot brought about and that never started."""

    @property
    def any(self) -> bool:
        return bool(self.waiting or self.running)


def active_runs(tx: Transaction, job: int) -> ActiveRuns:
    """The runs of a job that wait or run."""
    rows = tx.rows("active_runs", {"job": job})
    return ActiveRuns(
        tuple(run for run, runs, _ in rows if not runs),
        tuple(run for run, runs, _ in rows if runs),
        tuple(run for run, _, fresh in rows if fresh),
    )


def decided(tx: Transaction, job: int, start: datetime) -> set[datetime]:
    """The newest slots of a job from `start` up to now that are written down.

    Of slots that come due there are some only where the clock was corrected: it has been here before.
    """
    rows = tx.rows("decided", {"job": job, "start": micros(start), "now": tx.at, "most": _MOST_DECIDED})
    return {from_micros(at) for (at,) in rows}


def add_slot(tx: Transaction, job: int, at: datetime, disposition: Disposition, run: int | None, reason: str) -> bool:
    """Write down what became of a due slot; False where that was written before."""
    tx.run("add_slot", {"job": job, "at": micros(at), "disposition": disposition, "run": run, "reason": reason})
    return bool(tx.changed())


def skip_slot(tx: Transaction, job: int, at: datetime, reason: str) -> None:
    """Write down that a slot started nothing after all: its run was not accepted."""
    tx.run("skip_slot", {"job": job, "at": micros(at), "reason": reason})

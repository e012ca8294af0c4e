"""What keeps jobs and queues back, as statements: pauses, circuits, and slots that are skipped ahead.

The waiting runs of a job that is kept back stand aside, in a lane that nothing is ever reserved from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobd.core.holds import EVERYTHING, Circuit, Holds, Pause
from jobd.core.spans import from_micros, from_micros_if, micros, micros_if
from jobd.core.states import Disposition
from jobd.store.connection import Transaction

Ask = Callable[[str, Any], list[tuple[Any, ...]]]
"""The rows of a named statement: of a transaction, or of a reader."""


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A pause whose time is over: of a job, or of a queue."""

    kind: str
    name: str


def of_job(tx: Transaction, job: int, everything: Pause | None = None) -> Holds:
    """What keeps the slots of a job back."""
    row = tx.row("held_job", {"job": job})
    return Holds(everything=everything) if row is None else _holds(row, everything)


def of_jobs(ask: Ask, name: str | None = None) -> dict[str, Holds]:
    """What keeps jobs in force back: all, or the one of this name."""
    everything = of_queues(ask).get(EVERYTHING)
    return {row[0]: _holds(row[1:], everything) for row in ask("holds", {"name": name})}


def paused_queues(tx: Transaction) -> set[str]:
    """The queues that are paused now, `EVERYTHING` among them where all are."""
    return {name for (name,) in tx.rows("queues_paused_now")}


def circuit_of(tx: Transaction, job: int) -> Circuit:
    """How the circuit of a job stands."""
    row = tx.row("circuit_of", {"job": job})
    return Circuit() if row is None else Circuit(row[0], from_micros_if(row[1]), row[2])


def of_queues(ask: Ask) -> dict[str, Pause]:
    """The pauses of queues by name, in force or over; `EVERYTHING` stands for all queues and jobs."""
    return {row[0]: pause for row in ask("paused_queues", ()) if (pause := pause_of(*row[1:])) is not None}


def _holds(row: tuple[Any, ...], everything: Pause | None) -> Holds:
    *pause, failures, until, trial, skips = row
    return Holds(
        pause_of(*pause),
        everything,
        Circuit(failures, from_micros_if(until), trial),
        {from_micros(int(at)): reason for at, reason in json.loads(skips).items()},
    )


def pause_of(paused: int, at: int | None, until: int | None, by: str | None, note: str | None) -> Pause | None:
    """The pause that a row tells of, in force or over; None where there never was one."""
    return (
        None
        if at is None
        else Pause(from_micros(at), from_micros_if(until), by or "", note or "", in_force=bool(paused))
    )


def job_id(tx: Transaction, name: str) -> int | None:
    """A job that the store knows, in force or not."""
    row = tx.row("job_id", {"name": name})
    return None if row is None else int(row[0])


def pause_job(tx: Transaction, job: int, pause: Pause) -> None:
    """Let nothing of a job start; what runs goes on."""
    tx.run("pause_job", {"job": job, **_word(tx, pause)})
    stand_aright(tx, job)


def resume_job(tx: Transaction, job: int) -> bool:
    """End the pause of a job; False where it was not paused."""
    tx.run("resume_job", {"job": job, "now": tx.at})
    was_paused = bool(tx.changed())
    stand_aright(tx, job)
    return was_paused


def pause_queue(tx: Transaction, name: str, pause: Pause) -> None:
    """Let nothing of a queue start."""
    tx.run("pause_queue", {"name": name, **_word(tx, pause)})


def resume_queue(tx: Transaction, name: str) -> bool:
    """End the pause of a queue; False where it was not paused."""
    tx.run("resume_queue", {"name": name, "now": tx.at})
    return bool(tx.changed())


def _word(tx: Transaction, pause: Pause) -> dict[str, object]:
    return {"now": tx.at, "until": micros_if(pause.until), "by": pause.by, "note": pause.note}


def lapse(tx: Transaction) -> list[Lapsed]:
    """End the pauses whose time is over."""
    found = tx.rows("lapsed_jobs", {"now": tx.at})
    for job, _ in found:
        stand_aright(tx, job)
    queues = tx.rows("lapsed_queues", {"now": tx.at})
    return [Lapsed("job", name) for _, name in found] + [Lapsed("queue", name) for (name,) in queues]


def note_circuit(tx: Transaction, job: int, circuit: Circuit) -> None:
    """Remember how the circuit of a job stands; opening and closing moves its waiting runs."""
    bindings = {"failures": circuit.failures, "until": micros_if(circuit.until), "trial": circuit.trial}
    tx.run("note_circuit", {"job": job, **bindings})
    stand_aright(tx, job)


def forget_trials(tx: Transaction) -> None:
    """Let another run be the trial where one ended that showed nothing: it was cancelled, or expired."""
    tx.run("forget_trials")


def try_again(tx: Transaction) -> list[tuple[str, int]]:
    """Let the first waiting run go of each job whose cooldown is over, as its trial; the jobs and these runs."""
    found = tx.rows("candidates", {"now": tx.at})
    for job, _, run in found:
        tx.run("note_trial", {"job": job, "run": run})
        tx.run("let_go", {"run": run})
    return [(name, run) for _, name, run in found]


def skip_ahead(tx: Transaction, job: int, at: datetime, by: str) -> bool:
    """Write down now that a slot to come is skipped; False where it is decided already."""
    values = {"job": job, "at": micros(at), "disposition": Disposition.SKIPPED, "run": None}
    tx.run("add_slot", {**values, "reason": f"skip_next: by {by}"})
    return bool(tx.changed())


def take_back_skips(tx: Transaction, job: int) -> list[datetime]:
    """Forget the slots of a job that are skipped ahead."""
    return sorted(from_micros(at) for (at,) in tx.rows("take_back_skips", {"job": job, "now": tx.at}))


def stand_aright(tx: Transaction, job: int) -> None:
    """Let the unfinished runs of a job stand where its limit, and what keeps it back, ask for."""
    row = tx.row("lanes_of_job", {"job": job})
    if row is not None:
        tx.run("move_lane", {"job": job, "open": row[0], "waits": row[1], "trial": row[2]})

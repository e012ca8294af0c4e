"""What `simulate` foretells is what the daemon then does: the same slots, walked through the real engine."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.core.forecast import Limits, Load, Tally
from jobd.core.model import AttemptKey, Ending, Finished, Job, Schedule
from jobd.core.records import RunFilter
from jobd.core.simulate import simulate
from jobd.core.states import Outcome, RunState
from tests.supervisor.stage import NOON, Stage, job, stage

SECOND, MINUTE, SLOTS = timedelta(seconds=1), timedelta(minutes=1), 8
CASES: list[tuple[int, dict[str, int | None], list[tuple[int, dict[str, Any], dict[str, Any]]]]] = [
    # Workers, limits of queues, and of each job: seconds a run takes, words of its schedule, other words.
    (4, {}, [(97, {}, {}), (31, {}, {})]),
    (4, {}, [(97, {"overlap": "queue"}, {}), (151, {"overlap": "queue"}, {"max_running": 2})]),
    (4, {}, [(97, {"overlap": "replace"}, {}), (31, {"overlap": "replace"}, {})]),
    (9, {}, [(151, {"overlap": "allow"}, {"max_running": 2}), (101, {"overlap": "allow"}, {})]),
    (9, {"default": 1}, [(23, {}, {"priority": -5}), (29, {}, {"priority": 5}), (7, {}, {"queue": "other"})]),
    (1, {}, [(23, {"overlap": "queue"}, {}), (29, {"overlap": "queue"}, {"queue": "other"}), (31, {}, {})]),
    (9, {"default": 1}, [(53, {"overlap": "allow"}, {}), (19, {"start_deadline_seconds": 37.0}, {})]),
    (2, {}, [(199, {"overlap": "queue"}, {}), (71, {}, {"priority": 1}), (43, {"overlap": "allow"}, {})]),
]


class Life:
    """The engine from one event to the next: slots, last chances to start, and the ends of runs."""

    def __init__(self, engine: Stage, jobs: list[Job], takes: dict[str, int]) -> None:
        self.engine, self.takes = engine, takes
        self.began: dict[int, datetime] = {}
        self.ends: dict[AttemptKey, datetime] = {}
        slots = [NOON + n * MINUTE for n in range(1, SLOTS + 1)]
        deadlines = {timedelta(seconds=one.schedule.start_deadline_seconds or 0) for one in jobs} | {timedelta(0)}
        self.events = {slot + deadline for slot in slots for deadline in deadlines} | {slots[-1] + SECOND}
        engine.adopt(*jobs)

    def live(self) -> None:
        while instants := sorted({*self.events, *self.ends.values()}):
            self.engine.clock.pass_by(instants[0] - self.engine.clock.now())
            self.events.discard(instants[0])
            if instants[0] > NOON + SLOTS * MINUTE and self.engine.engine.rules.in_force:
                self.engine.adopt()  # no more slots; what was accepted is let finish
            self._end(instants[0])

    def _end(self, now: datetime) -> None:
        """Report what is over now and what was stopped, all at once, and see what starts."""
        over = [(key, Outcome.SUCCEEDED) for key, at in self.ends.items() if at <= now]
        while True:
            for key, outcome in over:
                self.ends.pop(key, None)
                self.engine.workers.at_work.pop(key, None)
                self.engine.engine.inbox.report(Finished(key, Ending(outcome, self.began[key.run], now)))
            self.engine.tick()
            for key in self.engine.workers.at_work.keys() - self.ends.keys():
                self.began.setdefault(key.run, now)
                run = self.engine.run(key.run)
                self.ends[key] = now + timedelta(seconds=self.takes[run.job])
            over = [(key, outcome) for key, outcome in self.engine.workers.stopped if key in self.ends]
            if not over:
                return

    def tally(self, name: str) -> Tally:
        found, _ = self.engine.history.runs(RunFilter(job=name, limit=1000))
        slots = [word for _, word in self.engine.slots(name)]
        waits = [(self.began[run.id] - run.slot).total_seconds() for run in found if run.slot and run.id in self.began]
        cancelled = [run.id in self.began for run in found if run.state is RunState.CANCELLED]
        return Tally(
            slots=len(slots),
            started=len(waits),
            skipped=slots.count("skipped"),
            coalesced=cancelled.count(False),
            replaced=cancelled.count(True),
            expired=sum(run.state is RunState.EXPIRED for run in found),
            waited=sum(wait > 0 for wait in waits),
            longest_wait=max(waits, default=0.0),
        )


def loads(jobs: list[Job], takes: dict[str, int]) -> list[Load]:
    return [
        Load(
            one.name,
            takes[one.name],
            one.queue,
            one.priority,
            one.schedule.overlap,
            one.max_running,
            one.running_limit,
            deadline_seconds=one.schedule.start_deadline_seconds,
        )
        for one in jobs
    ]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_the_engine_does_what_was_foretold(tmp_path: Path, case: int) -> None:
    workers, limits, words = CASES[case]
    jobs = [
        job(f"j{number}", schedule=Schedule(("* * * * *",), "UTC", **timing), **more)
        for number, (_, timing, more) in enumerate(words)
    ]
    takes = {one.name: seconds for one, (seconds, _, _) in zip(jobs, words, strict=True)}
    slots = [(n * 60.0, index) for n in range(1, SLOTS + 1) for index in range(len(jobs))]
    foretold = simulate(loads(jobs, takes), slots, 1e9, Limits(limits, workers))
    with stage(tmp_path, seats=workers, limits=limits) as engine:
        life = Life(engine, jobs, takes)
        life.live()
        assert {one.name: life.tally(one.name) for one in jobs} == foretold.jobs

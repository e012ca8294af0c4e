"""A queue in plain Python, worked out from the rules alone: what every run is to be after everything that happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobd.core.model import Ending, Job
from jobd.core.states import Outcome

WAITING = ("blocked", "scheduled", "queued", "retrying")
FINAL = ("succeeded", "failed", "cancelled", "skipped", "expired")
DAY = timedelta(hours=24)


@dataclass
class Wait:
    """On how a parent must end; `decision` is None, holds, broken or waived."""

    on: str
    decision: str | None = None

    def decide(self, parent: str) -> None:
        ended_well = {"success": parent == "succeeded", "failure": parent == "failed", "always": True}[self.on]
        self.decision = "holds" if ended_well else "broken"


@dataclass
class Run:
    """A run as it is to be."""

    id: int
    job: Job
    queue: str
    priority: int
    run_at: datetime
    created_at: datetime
    most: int
    payload: object = None
    key: str | None = None
    expires_at: datetime | None = None
    is_fired: bool = False
    state: str = "queued"
    attempt: int = 0
    given_back: int = 0
    cancelling: bool = False
    ended_at: datetime | None = None
    waits: dict[int, Wait] = field(default_factory=dict)
    is_cancelled_by_parent: bool = False
    letters: list[str | None] = field(default_factory=list)
    """What was done about each dead letter."""

    @property
    def place(self) -> tuple[int, datetime, int]:
        return (-self.priority, self.run_at, self.id)


@dataclass
class Model:
    """Every run, and what keeps them back."""

    now: datetime
    limits: dict[str, int]
    jobs: dict[str, Job] = field(default_factory=dict)
    """The newest definition of every job there ever was."""
    runs: dict[int, Run] = field(default_factory=dict)
    keys: dict[tuple[str, str, str], int] = field(default_factory=dict)
    paused: set[tuple[str, str]] = field(default_factory=set)

    # What clients ask.

    def holder(self, job: Job, key: str | None) -> Run | None:
        found = self.runs.get(self.keys.get((job.name, job.queue, key or ""), 0))
        if found is None or key is None:
            return None
        return found if found.state not in FINAL or found.created_at + DAY > self.now else None

    def accept(self, run: Run) -> None:
        self.runs[run.id] = run
        run.state = "blocked" if run.waits else "scheduled" if run.run_at > self.now else "queued"
        if run.key is not None:
            self.keys[run.job.name, run.queue, run.key] = run.id

    def cancel(self, id: int) -> None:
        run = self.runs[id]
        if run.state in WAITING:
            self._end(run, "cancelled")
        elif run.state == "running":
            run.cancelling = True

    def retry(self, id: int) -> None:
        """Queue a run again; those that were cancelled for it wait for it again."""
        run = self.runs[id]
        for parent, wait in run.waits.items():
            if self._is_open(parent) and wait.decision != "waived":
                wait.decision = None
            elif wait.decision == "broken":
                wait.decision = "waived"
        run.state = "blocked" if any(wait.decision is None for wait in run.waits.values()) else "queued"
        run.run_at, run.expires_at, run.ended_at, run.cancelling = self.now, None, None, False
        run.is_cancelled_by_parent = False
        run.most = max(run.most, run.attempt - run.given_back + 1)
        run.letters = [said or "retried" for said in run.letters]
        self._reopen(id)

    def _reopen(self, parent: int) -> None:
        for child in self.children(parent):
            wait = child.waits[parent]
            if wait.decision == "broken" or (wait.decision == "holds" and child.state in ("blocked", "cancelled")):
                wait.decision = None
            is_let_go = all(wait.decision != "broken" for wait in child.waits.values())
            if child.is_cancelled_by_parent and wait.decision is None and is_let_go:
                child.state, child.ended_at, child.is_cancelled_by_parent = "blocked", None, False
                for other, wait in child.waits.items():
                    if self._is_open(other) and wait.decision != "waived":
                        wait.decision = None
                self._reopen(child.id)

    def drop(self, id: int) -> None:
        self.runs[id].letters = [said or "dropped" for said in self.runs[id].letters]

    # What workers report.

    def finish(self, id: int, ending: Ending) -> None:
        """The attempt under way has ended."""
        run = self.runs[id]
        said, directive = ending.outcome, ending.directive
        if run.cancelling or said is Outcome.CANCELLED:
            self._end(run, "cancelled")
        elif said is Outcome.INTERRUPTED:
            self._again(run, timedelta(0), counts=False, started=ending.started_at is not None)
        elif directive is not None and directive.kind == "snooze":
            self._again(run, timedelta(seconds=directive.delay_seconds), counts=False)
        elif directive is not None and directive.kind == "cancel":
            self._end(run, "cancelled")
        elif directive is not None and directive.kind == "discard":
            self._fail(run)
        elif directive is not None:
            self._spend(run, timedelta(seconds=directive.delay_seconds))
        elif said is Outcome.SUCCEEDED:
            self._end(run, "succeeded")
        elif said is Outcome.LOST:
            is_fatal = (run.job.on_lost or ("fail" if run.is_fired else "retry")) == "fail"
            self._fail(run) if is_fatal else self._spend(run, timedelta(0))
        elif ending.exit_code == 127:
            self._fail(run)
        else:
            self._spend(run, timedelta(seconds=run.job.retry.base_seconds))

    def _spend(self, run: Run, delay: timedelta) -> None:
        if run.attempt - run.given_back < run.most:
            self._again(run, delay, counts=True)
        else:
            self._fail(run)

    def _again(self, run: Run, delay: timedelta, *, counts: bool, started: bool = True) -> None:
        run.state, run.run_at = ("retrying" if delay else "queued"), self.now + delay
        run.given_back += not counts
        if started:
            run.expires_at = None

    def _fail(self, run: Run) -> None:
        self._end(run, "failed")
        if run.job.dead_letter:
            run.letters.append(None)

    def _end(self, run: Run, state: str) -> None:
        run.state, run.ended_at, run.cancelling = state, self.now, False

    # What time brings.

    def step_clock(self, span: timedelta) -> None:
        """The wall clock was set: what is under way keeps its pace, what has an instant keeps that."""
        self.now += span
        for run in self.runs.values():
            if run.expires_at is not None and run.state == "scheduled":
                run.expires_at += max(self.now - run.run_at, timedelta(0))
            elif run.expires_at is not None and run.state in ("queued", "retrying"):
                run.expires_at += span
            if run.state == "retrying":
                run.run_at += span

    def settle(self) -> None:
        """Everything that follows from what there is, down to the last."""
        for run in self.runs.values():
            if run.expires_at is not None and run.expires_at <= self.now and run.state in WAITING[1:]:
                self._end(run, "expired")
        while any(self._follow(run) for run in self.runs.values()):
            pass
        for run in self.runs.values():
            if run.state in ("scheduled", "retrying") and run.run_at <= self.now:
                run.state = "queued"

    def _follow(self, run: Run) -> bool:
        decided = [one for one, wait in run.waits.items() if wait.decision is None and not self._is_open(one)]
        for parent in decided:
            run.waits[parent].decide(self.runs[parent].state)
        if not decided:
            return False
        if run.state in WAITING and any(wait.decision == "broken" for wait in run.waits.values()):
            self._end(run, "cancelled")
            run.is_cancelled_by_parent = True
        elif run.state == "blocked" and all(wait.decision for wait in run.waits.values()):
            waited = max(self.now - run.run_at, timedelta(0))
            run.state = "scheduled" if run.run_at > self.now else "queued"
            run.run_at += waited
            run.expires_at = None if run.expires_at is None else run.expires_at + waited
        return True

    # What may start.

    def may_start(self, run: Run) -> bool:
        """Whether nothing but a worker is missing."""
        if run.state != "queued" or {("job", run.job.name), ("queue", run.queue), ("queue", "*")} & self.paused:
            return False
        running = [one for one in self.runs.values() if one.state == "running"]
        of_queue = sum(one.queue == run.queue for one in running)
        of_job = sum(one.job.name == run.job.name for one in running)
        most = self.jobs[run.job.name].running_limit
        return of_queue < self.limits.get(run.queue, 99) and (most is None or of_job < most)

    def start(self, started: Iterable[int]) -> None:
        """These runs were reserved in one tick: each could start, and none that comes before it is left behind."""
        begun = sorted((self.runs[id] for id in started), key=lambda run: run.place)
        for run in begun:
            assert self.may_start(run), f"{run} may not start"
            run.state, run.attempt = "running", run.attempt + 1
        for run in begun:
            passed = [one for one in self.runs.values() if one.queue == run.queue and one.place < run.place]
            assert not [one for one in passed if self.may_start(one)], f"{run} passed others that could start"

    def children(self, parent: int) -> list[Run]:
        return [run for run in self.runs.values() if parent in run.waits]

    def forget(self, id: int) -> None:
        """History let go of a run: it had ended, nobody waits for it, and nothing about it is open."""
        run = self.runs.pop(id)
        assert run.state in FINAL and None not in run.letters, f"{run} was forgotten"
        assert run.key is None or run.created_at + DAY <= self.now, f"{run} held its key"
        for child in self.children(id):
            assert child.state in FINAL, f"{child} waits for {run}"
            del child.waits[id]

    def _is_open(self, id: int) -> bool:
        return self.runs[id].state not in FINAL

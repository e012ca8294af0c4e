"""A job's whole life over the pure scheduling core: time, clocks, reloads, restarts, pauses and runs in any order.

The machine plays the store (a row for each slot, by its instant) and the engine (which looks whenever it is told to),
and holds what was decided against the rules, worked out another way.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobd.core import due
from jobd.core.due import Active, Plan, SlotDecision, Standing
from jobd.core.model import Calendar, Schedule
from jobd.core.schedule import Timetable
from jobd.core.states import Disposition, Trigger

START = datetime(2026, 3, 6, 22, 13, 7, 250_000, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
COUNTED = 3000
"""Slots of a look that are counted one by one; beyond it only the newest are known to be right."""

EXPRESSIONS = st.lists(
    st.sampled_from(
        [
            "*/5 * * * *",
            "17 * * * *",
            "30 2 * * *",
            "30 1 * * *",
            "0 */3 * * *",
            "every 90s",
            "every 47m",
            "every 7h",
            "after 10m",
            "after 3h",
            "@boot",
        ]
    ),
    min_size=1,
    max_size=3,
    unique=True,
).map(tuple)
ZONES = st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"])
POLICIES: dict[str, Any] = {
    "catch_up": st.sampled_from(["skip", "latest", "all"]),
    "max_catch_up": st.integers(1, 12),
    "catch_up_window_seconds": st.sampled_from([600.0, 3600.0, 86400.0]),
    "overlap": st.sampled_from(["skip", "queue", "replace", "allow"]),
    "start_deadline_seconds": st.sampled_from([None, None, 45.0, 1800.0]),
    "exclude": st.sampled_from([(), (), (Calendar("rest", (("2026-03-08", "2026-03-09"),)),)]),
}
SCHEDULES = st.builds(Schedule, EXPRESSIONS, ZONES, jitter_seconds=st.sampled_from([0.0, 0.0, 900.0]), **POLICIES)
SHORT = st.integers(1, 600).map(lambda n: timedelta(seconds=n, microseconds=n))
LONG = st.one_of(
    st.integers(60, 4 * 3600).map(lambda n: timedelta(seconds=n)),
    st.integers(1, 40).map(lambda n: timedelta(hours=5 * n, seconds=n)),
)
SMALL_STEP = st.integers(-3 * 3600, 3 * 3600).filter(bool).map(lambda n: timedelta(seconds=n, milliseconds=n % 13))
LARGE_STEP = st.sampled_from([-30 * DAY, -4 * HOUR, -26 * HOUR, 4 * HOUR, 30 * DAY, 26 * HOUR])


class Life(RuleBasedStateMachine):
    """One job of one daemon on one host."""

    @initialize(schedule=SCHEDULES, max_running=st.sampled_from([None, 1, 3]))
    def begin(self, schedule: Schedule, max_running: int | None) -> None:
        self.now, self.schedule, self.max_running = START, schedule, max_running
        self.timetable = Timetable(schedule, "UTC", "job")
        self.standing = Standing(START, START)
        self.rows: dict[datetime, Disposition] = {}
        self.runs: dict[int, bool] = {}  # id → whether it runs
        self.fresh: set[int] = set()  # runs of slots that never started
        self.last_run = 0
        self.paused = False
        self.passed = timedelta(0)  # in real time, since the last look
        self.clock_was_set = False
        self.next_at = due.next_at(self.timetable, self.standing, self.now)
        self.look()
        assert not self.rows, "a job seen for the first time owes nothing"

    # The engine and the store

    def active(self) -> Active:
        waiting = tuple(run for run, runs in self.runs.items() if not runs)
        running = tuple(run for run, runs in self.runs.items() if runs)
        return Active(waiting, running, self.max_running, tuple(run for run in waiting if run in self.fresh))

    def look(self, *, stepped: timedelta = timedelta(0)) -> Plan:
        """A tick, as the supervisor does one."""
        if stepped and (moved := due.carried(self.timetable, self.standing, stepped)):
            self.standing = moved
        before = due.current(self.timetable, self.standing, self.now)
        corrected, active = abs(stepped) > due.CORRECTION, self.active()
        plan = due.plan(
            self.timetable,
            self.schedule,
            before,
            self.now,
            active,
            bar=lambda _: "paused" if self.paused else None,
            corrected=corrected,
            decided=self.rows if self.clock_was_set else (),
            since=self.now - self.passed,
        )
        self.check(before, plan, active, corrected=corrected)
        self.take_down(plan)
        self.standing = replace(
            self.standing,
            watermark=plan.watermark,
            last_slot=plan.last_slot or self.standing.last_slot,
            boot_pending=False,
        )
        self.next_at, self.passed = plan.next_at, timedelta(0)
        return plan

    def take_down(self, plan: Plan) -> None:
        for decision in plan.slots:
            assert decision.slot not in self.rows, "no slot is decided twice"
            self.rows[decision.slot] = decision.disposition
            if decision.starts:
                for old in decision.replaces:
                    self.end(old)
                self.start(of_slot=True)

    def start(self, *, of_slot: bool) -> None:
        self.last_run += 1
        self.runs[self.last_run] = False
        if of_slot:
            self.fresh.add(self.last_run)

    def end(self, run: int) -> None:
        del self.runs[run]
        self.standing = replace(self.standing, ended_at=self.now)

    # What is held against the rules

    def check(self, before: Standing, plan: Plan, active: Active, *, corrected: bool) -> None:
        slots = [decision.slot for decision in plan.slots]
        assert slots == sorted(set(slots))
        is_anchored_anew = plan.watermark < before.watermark
        if is_anchored_anew:
            assert before.watermark - self.now > due.CORRECTION or corrected
        else:
            assert all(slot > before.watermark for slot in slots), "nothing at or before the watermark"
            self.check_none_is_missing(before, plan, active)
        assert plan.next_at is None or plan.next_at > min(self.now, plan.watermark)
        assert plan.next_at is None or plan.next_at > plan.watermark
        for decision in plan.slots:
            self.check_decision(decision)
        self.check_catch_up(plan, corrected=corrected)
        self.check_overlap([decision for decision in plan.slots if decision.starts], active)

    def check_none_is_missing(self, before: Standing, plan: Plan, active: Active) -> None:
        """Every instant of the clock since the watermark has a row, or is older than the row that sums up."""
        decided = {decision.slot for decision in plan.slots} | self.rows.keys()
        expected = self.timetable.between(before.watermark, self.now, COUNTED, due.anchor(before))
        summed_up = next((one.slot for one in plan.slots if "share this row" in one.reason), None)
        if len(expected) < COUNTED:
            missing = [slot for slot in expected if slot not in decided]
            lived_again = self.clock_was_set and any(slot in self.rows for slot in expected)
            assert lived_again or all(summed_up and slot < summed_up for slot in missing), missing[:3]
        of_events = {decision.slot for decision in plan.slots} - set(expected)
        if len(expected) < COUNTED:
            assert len(of_events) <= int(before.boot_pending) + int(self.timetable.after is not None)
        if active.oldest is not None and not before.boot_pending and len(expected) < COUNTED:
            assert not of_events, "after is never due while a run is active"

    def check_decision(self, decision: SlotDecision) -> None:
        is_late = self.now - decision.slot >= due.GRACE
        deadline = self.schedule.start_deadline_seconds
        too_late = deadline is not None and (self.now - decision.slot).total_seconds() >= deadline
        assert decision.reason or (decision.starts and not is_late)
        if "share this row" in decision.reason:
            assert not decision.starts
            return
        if self.paused or self.timetable.bar(decision.slot):
            assert decision.disposition is Disposition.SKIPPED
        elif too_late:
            assert decision.disposition is Disposition.EXPIRED
        elif not is_late:
            assert decision.disposition in (Disposition.STARTED, Disposition.SKIPPED, Disposition.COALESCED)
        if decision.starts:
            assert (decision.trigger is Trigger.CATCH_UP) == is_late

    def check_catch_up(self, plan: Plan, *, corrected: bool) -> None:
        late = sum(one.starts and one.trigger is Trigger.CATCH_UP for one in plan.slots)
        most = {"skip": 0, "latest": 1, "all": self.schedule.max_catch_up}[self.schedule.catch_up]
        assert late <= (min(most, 1) if corrected else most)

    def check_overlap(self, starts: list[SlotDecision], active: Active) -> None:
        busy = len(active.waiting) + len(active.running)
        match self.schedule.overlap:
            case "skip":
                assert len(starts) <= (0 if busy else 1)
            case "queue" | "replace":
                assert len(starts) <= 1
            case "allow" if self.max_running is not None:
                assert len(starts) <= max(0, self.max_running - busy)

    # Time

    def let_pass(self, span: timedelta) -> None:
        self.now += span
        self.passed += span

    @rule(span=SHORT)
    def time_passes_and_the_engine_is_there(self, span: timedelta) -> None:
        """It wakes at each slot, and at the end."""
        until = self.now + span
        while self.next_at is not None and self.next_at <= until:
            self.let_pass(max(self.next_at - self.now, timedelta(0)))
            plan = self.look()
            assert plan.slots or self.clock_was_set, "it was woken for a slot"
        self.let_pass(until - self.now)
        assert not self.look().slots

    @rule(span=LONG)
    def the_host_sleeps(self, span: timedelta) -> None:
        self.let_pass(span)
        self.look()

    @rule(step=st.one_of(SMALL_STEP, LARGE_STEP))
    def the_clock_is_set(self, step: timedelta) -> None:
        self.now += step
        self.clock_was_set = True
        started = sum(decision.starts for decision in self.look(stepped=step).slots)
        if abs(step) > due.CORRECTION:
            assert started <= 1 or self.timetable.has_boot

    @rule(step=st.one_of(SMALL_STEP, LARGE_STEP))
    def the_clock_is_set_while_nobody_looks(self, step: timedelta) -> None:
        self.now += step
        self.clock_was_set = True
        self.look()

    # Lives of the daemon and of the host

    @rule()
    def jobd_restarts(self) -> None:
        self.timetable = Timetable(self.schedule, "UTC", "job")
        is_active = self.active().oldest is not None
        again = due.next_at(self.timetable, self.standing, self.now, is_active=is_active)
        if not self.clock_was_set and is_active == self.was_active:
            assert again == self.next_at, "a restart moves nothing"
        self.next_at = again

    @rule()
    def the_host_restarts(self) -> None:
        self.standing = replace(self.standing, boot_pending=True)
        self.let_pass(40 * SECOND)
        plan = self.look()
        if self.timetable.has_boot:
            newest = plan.slots[-1]
            assert newest.slot >= self.now
            assert newest.trigger is Trigger.SCHEDULE
        assert not self.look().slots

    @rule(other=st.fixed_dictionaries(POLICIES))
    def policies_change(self, other: dict[str, Any]) -> None:
        self.schedule = replace(self.schedule, **other)
        self.jobd_restarts()

    @rule(other=SCHEDULES)
    def the_schedule_changes(self, other: Schedule) -> None:
        self.schedule, self.timetable = other, Timetable(other, "UTC", "job")
        watermark = max(self.standing.watermark, self.now)
        self.standing = Standing(self.now, watermark, None, self.standing.ended_at)
        assert not self.look().slots, "a changed schedule owes nothing"

    # Runs

    @rule()
    def pause_or_resume(self) -> None:
        self.look()
        self.paused = not self.paused

    @rule()
    def somebody_runs_it_by_hand(self) -> None:
        self.start(of_slot=False)
        self.look()

    @precondition(lambda self: any(not runs for runs in self.runs.values()))
    @rule()
    def a_run_starts(self) -> None:
        run = next(run for run, runs in self.runs.items() if not runs)
        self.runs[run] = True
        self.fresh.discard(run)

    @precondition(lambda self: self.runs)
    @rule()
    def a_run_ends(self) -> None:
        self.end(next(iter(self.runs)))
        plan = self.look()
        after = self.timetable.after
        if after is not None and not self.runs and not plan.slots:
            assert plan.next_at is not None
            assert plan.next_at <= max(self.now, plan.watermark) + after

    @invariant()
    def remember(self) -> None:
        self.was_active = bool(getattr(self, "runs", None))


def live(lives: int, steps: int) -> None:
    """Let so many jobs live for so many events each."""
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # shrinking takes minutes, and a life that fails tells enough as it is
        ),
    )


def test_a_jobs_life_keeps_to_the_rules() -> None:
    live(60, 25)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_many_long_lives_keep_to_the_rules() -> None:
    live(300, 50)

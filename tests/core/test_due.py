"""What becomes of every slot that is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.core import due
from jobd.core.due import Active, Plan, Standing
from jobd.core.model import Calendar, Schedule
from jobd.core.schedule import Timetable
from jobd.core.states import Disposition, Trigger
from tests.examples import examples

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STARTED, SKIPPED, MISSED, COALESCED, EXPIRED = (
    Disposition.STARTED,
    Disposition.SKIPPED,
    Disposition.MISSED,
    Disposition.COALESCED,
    Disposition.EXPIRED,
)


def planned(
    now: datetime,
    expressions: str | tuple[str, ...] = "* * * * *",
    *,
    since: datetime = NOON,
    last_slot: datetime | None = None,
    active: Active | None = None,
    corrected: bool = False,
    **schedule: Any,
) -> Plan:
    words = Schedule((expressions,) if isinstance(expressions, str) else expressions, **schedule)
    standing = Standing(since, since, last_slot)
    return due.plan(Timetable(words, "UTC"), words, standing, now, active or Active(), corrected=corrected)


def shown(plan: Plan) -> list[tuple[str, str, str]]:
    return [(f"{slot.slot:%H:%M:%S}", slot.disposition, slot.trigger) for slot in plan.slots]


def test_a_slot_on_time_starts_and_the_watermark_follows() -> None:
    now = NOON + MINUTE + timedelta(milliseconds=3)
    plan = planned(now)
    assert shown(plan) == [("12:01:00", STARTED, Trigger.SCHEDULE)]
    assert (plan.watermark, plan.last_slot, plan.next_at) == (now, NOON + MINUTE, NOON + 2 * MINUTE)
    assert plan.slots[0].reason == ""


def test_nothing_is_due_before_its_time_and_the_watermark_stays() -> None:
    plan = planned(NOON + timedelta(seconds=59))
    assert plan == Plan((), NOON, None, NOON + MINUTE)


@pytest.mark.parametrize("catch_up", ["skip", "latest", "all"])
def test_restarting_jobd_at_the_very_time_loses_nothing(catch_up: str) -> None:
    slot = datetime(2026, 5, 2, 2, 30, tzinfo=UTC)
    plan = planned(slot + timedelta(seconds=59), "30 2 * * *", catch_up=catch_up)
    assert shown(plan) == [("02:30:00", STARTED, Trigger.SCHEDULE)]


def test_a_minute_late_is_late() -> None:
    slot = datetime(2026, 5, 2, 2, 30, tzinfo=UTC)
    assert shown(planned(slot + MINUTE, "30 2 * * *")) == [("02:30:00", STARTED, Trigger.CATCH_UP)]
    missed = planned(slot + MINUTE, "30 2 * * *", catch_up="skip")
    assert shown(missed) == [("02:30:00", MISSED, Trigger.SCHEDULE)]
    assert missed.slots[0].reason.startswith("catch_up_skip: ")


def test_latest_runs_the_newest_missed_slot_and_coalesces_the_older_ones() -> None:
    plan = planned(NOON + 3 * HOUR + 10 * MINUTE, "0 * * * *")
    assert [slot.disposition for slot in plan.slots] == [COALESCED, COALESCED, STARTED]
    assert plan.slots[-1].trigger is Trigger.CATCH_UP
    assert plan.slots[0].reason.startswith("newer_slot: ")


def test_latest_owes_nothing_that_is_older_than_the_window() -> None:
    plan = planned(NOON + 15 * HOUR, ("0 13 * * *", "30 13 * * *"))
    assert [slot.disposition for slot in plan.slots] == [MISSED, MISSED]
    assert plan.slots[0].reason.startswith("catch_up_window: ")
    assert planned(NOON + 15 * HOUR, "0 13 * * *", catch_up_window_seconds=14 * 3600.0).slots[0].starts


def test_latest_owes_nothing_where_a_slot_on_time_is_there() -> None:
    plan = planned(NOON + 10 * MINUTE + timedelta(seconds=5))
    assert [slot.disposition for slot in plan.slots] == [*[COALESCED] * 9, STARTED]
    assert plan.slots[-1].trigger is Trigger.SCHEDULE


def test_all_runs_each_oldest_first_up_to_its_bound() -> None:
    plan = planned(NOON + 6 * HOUR + 2 * MINUTE, "0 * * * *", catch_up="all", max_catch_up=4, overlap="allow")
    assert [slot.disposition for slot in plan.slots] == [MISSED, MISSED, STARTED, STARTED, STARTED, STARTED]
    assert {slot.trigger for slot in plan.slots[2:]} == {Trigger.CATCH_UP}
    assert plan.slots[0].reason.startswith("max_catch_up: ")


def test_catching_up_obeys_overlap() -> None:
    now = NOON + 3 * HOUR + 2 * MINUTE
    skip = planned(now, "0 * * * *", catch_up="all")
    assert [slot.disposition for slot in skip.slots] == [STARTED, SKIPPED, SKIPPED]
    assert skip.slots[1].reason == "overlap: an earlier slot starts now"
    queue = planned(now, "0 * * * *", catch_up="all", overlap="queue")
    assert [slot.disposition for slot in queue.slots] == [COALESCED, COALESCED, STARTED]


def test_a_slot_that_meets_a_run_says_which() -> None:
    plan = planned(NOON + MINUTE, active=Active(running=(42,)))
    (slot,) = plan.slots
    assert (slot.disposition, slot.blocked_by, slot.reason) == (SKIPPED, 42, "overlap: run 42 is not over")
    assert plan.last_slot == NOON + MINUTE


def test_a_slot_that_replaces_names_the_runs_to_cancel() -> None:
    plan = planned(NOON + MINUTE, overlap="replace", active=Active(waiting=(43,), running=(42,)))
    assert (plan.slots[0].starts, plan.slots[0].replaces) == (True, (42, 43))


def test_of_slots_that_replace_one_another_only_the_newest_runs_and_it_replaces_what_was_there() -> None:
    plan = planned(
        NOON + timedelta(seconds=35), "every 10s", overlap="replace", active=Active(running=(42,)), last_slot=NOON
    )
    assert [slot.disposition for slot in plan.slots] == [COALESCED, COALESCED, STARTED]
    assert [slot.replaces for slot in plan.slots] == [(), (), (42,)]


@pytest.mark.parametrize(
    ("catch_up", "runs"), [("skip", 0), ("latest", 1), ("all", 100)], ids=["skip", "latest", "all"]
)
@pytest.mark.parametrize("away", [3 * DAY, 400 * DAY, 20 * 365 * DAY], ids=["days", "year", "decades"])
def test_a_long_absence_costs_bounded_rows_and_says_how_much_was_left_out(
    catch_up: str, runs: int, away: timedelta
) -> None:
    plan = planned(NOON + away - timedelta(seconds=1), "*/2 * * * *", catch_up=catch_up, overlap="allow")
    late = [slot for slot in plan.slots if slot.trigger is Trigger.CATCH_UP]
    assert len(late) == runs
    assert len(plan.slots) <= due.KEPT + 1 + (100 if catch_up == "all" else 0)
    total = away // (2 * MINUTE) - 1
    assert f"about {total - (len(plan.slots) - 1)} slots since 2026-05-01T12:00:00Z" in plan.slots[0].reason


@pytest.mark.parametrize("back", [timedelta(seconds=1), HOUR, 3 * HOUR])
def test_a_clock_set_back_by_hours_fires_nothing_twice(back: timedelta) -> None:
    plan = planned(NOON - back + 30 * MINUTE, since=NOON + 30 * MINUTE)
    assert plan.slots == ()
    assert plan.watermark == NOON + 30 * MINUTE
    assert plan.next_at == NOON + 31 * MINUTE


@pytest.mark.parametrize("expression", ["* * * * *", "every 1m"])
@pytest.mark.parametrize("back", [3 * HOUR + MINUTE, 30 * DAY, 50 * 365 * DAY])
def test_a_clock_set_back_by_more_is_a_correction_and_owes_nothing(expression: str, back: timedelta) -> None:
    now = NOON - back
    words = Schedule((expression,))
    plan = planned(now, expression, last_slot=NOON)
    assert plan.slots == ()
    assert (plan.watermark, plan.next_at) == (now, now + MINUTE)
    later = due.plan(Timetable(words, "UTC"), words, Standing(NOON, plan.watermark, NOON), now + MINUTE, Active())
    assert [slot.slot for slot in later.slots] == [now + MINUTE]


def test_a_step_back_that_was_seen_re_anchors_a_watermark_that_is_a_little_ahead() -> None:
    now = NOON - 2 * HOUR
    assert planned(now).watermark == NOON
    assert planned(now, corrected=True).watermark == now


@pytest.mark.parametrize("catch_up", ["skip", "latest", "all"])
@pytest.mark.parametrize("forward", [4 * HOUR, 30 * DAY, 56 * 365 * DAY])
def test_a_correction_forward_owes_one_run_at_most(catch_up: str, forward: timedelta) -> None:
    plan = planned(NOON + forward, catch_up=catch_up, overlap="allow", corrected=True)
    assert sum(slot.starts for slot in plan.slots) <= 1
    daily = planned(NOON + forward, "1 12 * * *", catch_up=catch_up, overlap="allow", corrected=True)
    assert sum(slot.starts for slot in daily.slots) <= (catch_up != "skip")


def test_every_is_due_a_period_after_the_job_was_first_seen_and_then_after_each_slot() -> None:
    odd = NOON + timedelta(microseconds=5)
    first = planned(odd + 15 * MINUTE, "every 15m", since=odd)
    assert [slot.slot for slot in first.slots] == [odd + 15 * MINUTE]
    assert first.next_at == odd + 30 * MINUTE
    late = planned(odd + 47 * MINUTE, "every 15m", since=odd + 16 * MINUTE, last_slot=odd + 15 * MINUTE)
    assert [slot.slot for slot in late.slots] == [odd + 30 * MINUTE, odd + 45 * MINUTE]
    assert late.next_at == odd + 60 * MINUTE


def test_a_step_is_what_the_wall_clock_moved_more_than_time_passed() -> None:
    assert due.step(NOON, 100.0, NOON + MINUTE, 160.0) == timedelta(0)
    assert due.step(NOON, 100.0, NOON - HOUR + MINUTE, 160.0) == -HOUR
    assert due.step(NOON, 100.0, NOON + HOUR, 100.5) == HOUR - timedelta(seconds=0.5)


@pytest.mark.parametrize("back", [HOUR, timedelta(minutes=59, seconds=3, microseconds=7), 3 * HOUR])
def test_an_interval_job_keeps_its_pace_when_the_clock_is_set_back(back: timedelta) -> None:
    words = Schedule(("every 15m",))
    timetable = Timetable(words, "UTC")
    standing = due.carried(timetable, Standing(NOON - DAY, NOON, NOON), -back)
    assert standing is not None
    now = NOON + 15 * MINUTE - back + timedelta(seconds=1)
    plan = due.plan(timetable, words, standing, now, Active())
    assert [slot.starts for slot in plan.slots] == [True]
    assert abs(plan.slots[0].slot - (NOON + 15 * MINUTE - back)) <= timedelta(milliseconds=1)
    assert (NOON - plan.slots[0].slot) % (15 * MINUTE) != timedelta(0)


@pytest.mark.parametrize("forward", [SECOND, HOUR, 30 * DAY])
def test_an_interval_job_keeps_its_pace_when_the_clock_is_set_forward(forward: timedelta) -> None:
    words = Schedule(("every 15m",))
    timetable = Timetable(words, "UTC")
    standing = due.carried(timetable, Standing(NOON - DAY, NOON, NOON), forward)
    assert standing is not None
    early = due.plan(timetable, words, standing, NOON + forward + 14 * MINUTE, Active(), corrected=True)
    assert (early.slots, early.next_at) == ((), NOON + forward + 15 * MINUTE)


def test_cron_follows_the_clock_that_was_set() -> None:
    timetable = Timetable(Schedule(("* * * * *", "every 15m")), "UTC")
    assert due.carried(timetable, Standing(NOON, NOON), -HOUR) is None
    assert due.carried(timetable, Standing(NOON, NOON), HOUR) is None


EXPRESSIONS = [
    "* * * * *",
    "*/7 * * * *",
    "30 2 * * *",
    "30 1 * * *",
    "0 */3 * * *",
    "every 90s",
    "every 47m",
    "0 0 1 * *",
]
STEPS = st.one_of(
    st.integers(0, 120), st.integers(-3 * 3600, 3 * 3600), st.integers(0, 5 * 86400), st.just(-40 * 86400)
).map(lambda seconds: timedelta(seconds=seconds, microseconds=seconds % 7))
SCHEDULES = st.builds(
    Schedule,
    st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=2, unique=True).map(tuple),
    timezone=st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
    catch_up=st.sampled_from(["skip", "latest", "all"]),
    max_catch_up=st.integers(0, 20),
    overlap=st.sampled_from(["skip", "queue", "replace", "allow"]),
)
ACTIVES = st.builds(
    Active, st.sampled_from([(), (3,), (3, 4)]), st.sampled_from([(), (1,), (1, 2)]), st.sampled_from([None, 1, 3])
)


@settings(max_examples=examples(150), deadline=None)
@given(SCHEDULES, st.lists(st.tuples(STEPS, ACTIVES), min_size=1, max_size=8))
def test_whatever_the_clock_does_each_slot_is_decided_once_in_order_and_by_the_rules(
    words: Schedule, story: list[tuple[timedelta, Active]]
) -> None:
    timetable = Timetable(words, "UTC")
    now = datetime(2026, 3, 7, 12, tzinfo=UTC)
    standing, decided = Standing(now, now), set[datetime]()
    for step, active in story:
        now += step
        is_correction = standing.watermark - now > due.CORRECTION
        plan = due.plan(timetable, words, standing, now, active)
        slots = [slot.slot for slot in plan.slots]
        if is_correction:
            decided.clear()
            assert (slots, plan.watermark) == ([], now)
        else:
            assert plan.watermark >= standing.watermark
            assert plan.watermark in (standing.watermark, now)
        assert slots == sorted(set(slots))
        assert not decided & set(slots)
        assert all(standing.watermark < slot <= now for slot in slots)
        assert plan.next_at is not None
        assert plan.next_at > plan.watermark
        decided |= set(slots)
        rules_hold(plan, words, active, now)
        standing = Standing(standing.first_seen_at, plan.watermark, plan.last_slot)


def rules_hold(plan: Plan, words: Schedule, active: Active, now: datetime) -> None:
    starts = [slot for slot in plan.slots if slot.starts]
    for slot in plan.slots:
        is_late = now - slot.slot >= due.GRACE
        assert not (slot.disposition is MISSED and not is_late)
        if slot.starts:
            assert (slot.trigger is Trigger.CATCH_UP) == is_late
        else:
            assert slot.reason
            assert slot.replaces == ()
    late = sum(slot.trigger is Trigger.CATCH_UP for slot in starts)
    assert late <= {"skip": 0, "latest": 1, "all": words.max_catch_up}[words.catch_up]
    if words.overlap == "skip":
        assert len(starts) <= (0 if active.oldest else 1)
    if words.overlap in ("queue", "replace"):
        assert len(starts) <= 1
    if words.overlap == "allow" and active.max_running is not None:
        room = active.max_running - len(active.waiting) - len(active.running)
        assert len(starts) <= max(room, 0)


def test_a_barred_slot_is_skipped_and_owes_nothing() -> None:
    words = Schedule(("0 * * * *",))
    until = NOON + 2 * HOUR
    plan = due.plan(
        Timetable(words, "UTC"),
        words,
        Standing(NOON, NOON, None),
        NOON + 2 * HOUR + 30 * MINUTE,
        Active(),
        bar=lambda slot: "paused: for a while" if slot <= until else None,
    )
    assert [(one.slot.hour, one.disposition, one.reason) for one in plan.slots] == [
        (13, SKIPPED, "paused: for a while"),
        (14, SKIPPED, "paused: for a while"),
    ]
    assert plan.watermark == NOON + 2 * HOUR + 30 * MINUTE


# Slots of events


def eventful(now: datetime, expressions: str | tuple[str, ...], standing: Standing, **more: Any) -> Plan:
    active, corrected = more.pop("active", None), more.pop("corrected", False)
    words = Schedule((expressions,) if isinstance(expressions, str) else expressions, **more)
    return due.plan(Timetable(words, "UTC"), words, standing, now, active or Active(), corrected=corrected)


def test_after_counts_from_the_end_of_the_last_run_whatever_brought_it_about() -> None:
    never = Standing(NOON, NOON)
    assert eventful(NOON, "after 15m", never).next_at == NOON + 15 * MINUTE
    ended = replace(never, ended_at=NOON + 7 * MINUTE)
    plan = eventful(NOON + 10 * MINUTE, "after 15m", ended)
    assert (plan.slots, plan.next_at) == ((), NOON + 22 * MINUTE)
    due_now = eventful(NOON + 22 * MINUTE, "after 15m", ended)
    assert shown(due_now) == [("12:22:00", STARTED, Trigger.SCHEDULE)]
    assert due_now.next_at is None, "not while its run is active"


def test_after_has_no_next_slot_while_a_run_of_the_job_is_active() -> None:
    standing = Standing(NOON, NOON, ended_at=NOON)
    plan = eventful(NOON + HOUR, "after 15m", standing, active=Active(running=(1,)), overlap="allow")
    assert plan == Plan((), NOON, None, None)


def test_a_late_slot_of_after_is_caught_up_once_and_one_that_is_given_up_counts_from_then() -> None:
    standing, late = Standing(NOON, NOON, ended_at=NOON), NOON + 3 * DAY
    assert shown(eventful(late, "after 15m", standing, catch_up="all")) == [("12:15:00", STARTED, Trigger.CATCH_UP)]
    missed = eventful(late, "after 15m", standing)
    assert shown(missed) == [("12:15:00", MISSED, Trigger.SCHEDULE)]
    assert missed.next_at == late + 15 * MINUTE
    skipped = eventful(NOON + 16 * MINUTE, "after 15m", standing, catch_up="skip")
    assert skipped.next_at == NOON + 30 * MINUTE, "from the slot itself where that is still to come"


def test_the_end_of_a_run_moves_with_a_clock_that_is_set() -> None:
    table = Timetable(Schedule(("0 0 1 1 *", "after 15m")), "UTC")
    standing = Standing(NOON - DAY, NOON - DAY, ended_at=NOON)
    for step in (-HOUR, HOUR, -30 * DAY):
        assert due.carried(table, standing, step) == replace(standing, ended_at=NOON + step)


def test_an_end_that_lies_ahead_unseen_holds_nothing_up() -> None:
    for back in (HOUR, 30 * DAY):
        standing = Standing(NOON - DAY, NOON - back, ended_at=NOON)
        plan = eventful(NOON - back, "after 15m", standing)
        assert plan.next_at == NOON - back + 15 * MINUTE


def test_a_start_of_the_host_is_due_at_once_and_only_once() -> None:
    first_seen = Standing(NOON, NOON)
    assert eventful(NOON + DAY, "@boot", first_seen) == Plan((), NOON, None, None)
    booted = replace(first_seen, boot_pending=True)
    plan = eventful(NOON + DAY, "@boot", booted, catch_up="skip")
    assert [(one.slot, one.disposition, one.trigger) for one in plan.slots] == [(NOON + DAY, STARTED, Trigger.SCHEDULE)]
    assert (plan.watermark, plan.next_at) == (NOON + DAY, None)


def test_a_start_of_the_host_with_a_clock_that_is_behind_fires_all_the_same_and_nothing_twice() -> None:
    booted = Standing(NOON - DAY, NOON, NOON, boot_pending=True)
    plan = eventful(NOON - HOUR, ("@boot", "@hourly"), booted)
    (slot,) = plan.slots
    assert NOON < slot.slot < NOON + timedelta(seconds=1)
    assert (slot.starts, plan.watermark, plan.next_at) == (True, slot.slot, NOON + HOUR)


def test_what_was_missed_while_the_host_was_down_gives_way_to_the_slot_of_its_start() -> None:
    booted = Standing(NOON, NOON, boot_pending=True)
    plan = eventful(NOON + 2 * HOUR + 30 * MINUTE, ("@boot", "@hourly"), booted)
    assert [slot.disposition for slot in plan.slots] == [COALESCED, COALESCED, STARTED]


# Deadlines and calendars


@pytest.mark.parametrize("catch_up", ["skip", "latest", "all"])
def test_a_slot_that_is_decided_after_its_deadline_is_expired_and_starts_nothing(catch_up: str) -> None:
    now = NOON + 10 * MINUTE + timedelta(seconds=40)
    plan = planned(now, "*/5 * * * *", catch_up=catch_up, start_deadline_seconds=40.0)
    assert [slot.disposition for slot in plan.slots] == [EXPIRED, EXPIRED]
    assert plan.slots[1].reason == "start_deadline: jobd came to it 40s late"
    in_time = planned(now, "*/5 * * * *", catch_up=catch_up, start_deadline_seconds=41.0)
    assert [slot.disposition for slot in in_time.slots] == [EXPIRED, STARTED]


def test_slots_that_share_a_row_expire_together() -> None:
    plan = planned(NOON + 3 * DAY, start_deadline_seconds=300.0)
    assert plan.slots[0].disposition is EXPIRED
    assert plan.slots[0].reason.startswith("start_deadline: about ")
    assert [slot.disposition for slot in plan.slots[-5:]] == [*[COALESCED] * 4, STARTED]


def test_a_slot_on_an_excluded_day_is_skipped_and_owes_nothing() -> None:
    rest = (Calendar("holidays", (("2026-05-02", "2026-05-03"),)),)
    plan = planned(NOON + 2 * DAY + HOUR, "0 13 * * *", exclude=rest, catch_up_window_seconds=90 * 3600.0)
    assert [(slot.disposition, slot.reason[:19]) for slot in plan.slots] == [
        (STARTED, "catch_up"),
        (SKIPPED, "excluded: holidays"),
        (SKIPPED, "excluded: holidays"),
    ]

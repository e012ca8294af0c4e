"""Pauses, slots skipped ahead and circuits, through the ticks: what they keep back, and that they owe nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.core import events
from jobd.core.errors import Conflict, NotFound
from jobd.core.holds import EVERYTHING
from jobd.core.intents import CancelJob, Pause, Resume, SkipNext
from jobd.core.model import AttemptKey, Calendar, CircuitBreaker, RetryPolicy
from jobd.core.states import Outcome, RunState
from jobd.store import reservation
from tests.supervisor.stage import ANN, NOON, Stage, every_minute, job, stage

MINUTE = timedelta(minutes=1)
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path, seats=8) as made:
        yield made


def pause(play: Stage, name: str, kind: Any = "job", until: datetime | None = None, note: str = "") -> None:
    play.ask(Pause(ANN, kind, name, until, note)).result()


def resume(play: Stage, name: str, kind: Any = "job") -> bool:
    return bool(play.ask(Resume(ANN, kind, name)).result())


def skip(play: Stage, name: str) -> list[datetime]:
    slots: list[datetime] = play.ask(SkipNext(ANN, name)).result()
    return slots


def reasons(play: Stage, name: str) -> list[tuple[str, str]]:
    found, _ = play.history.slots(name, None, None, 1000, None)
    return [(str(one.disposition), one.reason) for one in reversed(found)]


def end(play: Stage, run: int, attempt: int = 1, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    play.report(AttemptKey(run, attempt), outcome, exit_code=0 if outcome is Outcome.SUCCEEDED else 1)


# Jobs


def test_slots_of_a_paused_job_are_skipped_with_who_and_why_and_owe_nothing_later(play: Stage) -> None:
    play.adopt(every_minute(catch_up="all", overlap="allow"))
    pause(play, "minutely", note="disk swap")
    for _ in range(3):
        play.pass_by(MINUTE)
    assert reasons(play, "minutely") == [("skipped", "paused: disk swap (by ann)")] * 3
    assert resume(play, "minutely")
    play.pass_by(MINUTE)
    assert [disposition for disposition, _ in reasons(play, "minutely")] == ["skipped"] * 3 + ["started"]
    assert not resume(play, "minutely")


def test_a_pause_lapses_by_itself_also_while_jobd_is_down_and_its_time_owes_nothing(play: Stage) -> None:
    play.adopt(every_minute(catch_up="all", overlap="allow"))
    pause(play, "minutely", until=NOON + 5 * MINUTE + timedelta(seconds=30))
    play.pass_by(MINUTE)
    play.clock.pass_by(7 * MINUTE)
    play.again()
    found = [disposition for disposition, _ in reasons(play, "minutely")]
    assert found == ["skipped"] * 5 + ["started"] * 3
    assert play.history.standings()["minutely"].pause is None


def test_the_engine_wakes_when_a_pause_is_over(play: Stage) -> None:
    play.adopt(job())
    pause(play, "work", until=NOON + MINUTE)
    (run,) = play.submit(job())
    assert play.run(run).state is RunState.QUEUED
    assert play.engine._next_due == NOON + MINUTE
    play.pass_by(MINUTE)
    assert play.run(run).state is RunState.RUNNING
    assert events.Resumed("job", "work", play.clock.now()) in play.events


def test_waiting_runs_of_a_paused_job_wait_and_running_ones_go_on(play: Stage) -> None:
    play.adopt(job(), job("other"))
    (running,) = play.submit(job())
    pause(play, "work")
    (waiting,) = play.submit(job())
    (other,) = play.submit(job("other"))
    assert [play.run(run).state for run in (running, waiting, other)] == [
        RunState.RUNNING,
        RunState.QUEUED,
        RunState.RUNNING,
    ]
    end(play, running)
    assert play.run(running).state is RunState.SUCCEEDED
    play.again()
    assert play.run(waiting).state is RunState.QUEUED
    resume(play, "work")
    assert play.run(waiting).state is RunState.RUNNING


def test_a_retry_of_a_paused_job_waits_too(play: Stage) -> None:
    play.adopt(job(retry=RetryPolicy(strategy="fixed", max_attempts=3, base_seconds=1, jitter=0)))
    (run,) = play.submit(job())
    pause(play, "work")
    end(play, run, outcome=Outcome.FAILED)
    play.pass_by(MINUTE)
    assert play.run(run).state is RunState.QUEUED
    resume(play, "work")
    assert (play.run(run).state, play.run(run).attempts) == (RunState.RUNNING, 2)


def test_a_job_with_a_limit_keeps_it_over_a_pause(play: Stage) -> None:
    limited = job(max_running=1)
    play.adopt(limited)
    first, second = play.submit(limited, 2)
    pause(play, "work")
    resume(play, "work")
    assert [play.run(run).state for run in (first, second)] == [RunState.RUNNING, RunState.QUEUED]
    end(play, first)
    assert play.run(second).state is RunState.RUNNING


def test_a_reload_leaves_a_pause_alone(play: Stage) -> None:
    play.adopt(job())
    pause(play, "work")
    play.adopt(job(description="changed"))
    (run,) = play.submit(job())
    assert play.run(run).state is RunState.QUEUED


def test_an_unknown_job_cannot_be_paused(play: Stage) -> None:
    play.adopt(job())
    with pytest.raises(NotFound):
        pause(play, "nobody")


def test_what_a_paused_job_left_behind_can_be_resumed_when_it_is_not_defined_any_more(play: Stage) -> None:
    play.adopt(job())
    pause(play, "work")
    (run,) = play.submit(job())
    play.adopt()
    assert play.run(run).state is RunState.QUEUED
    assert resume(play, "work")
    assert play.run(run).state is RunState.RUNNING


def test_queues_that_cannot_move_hold_up_none_however_many_they_are(play: Stage) -> None:
    limited = job(max_running=1)
    play.adopt(limited, job("free"))
    play.submit(limited)
    for number in range(300):
        play.submit(limited, queue=f"a{number:03}")
    (run,) = play.submit(job("free"), queue="zzz")
    assert play.run(run).state is RunState.RUNNING


def test_queues_take_turns_however_many_they_are(tmp_path: Path) -> None:
    with stage(tmp_path, seats=1) as play:
        play.adopt(job())
        (first,) = play.submit(job())
        for number in range(200):
            play.submit(job(), 2, queue=f"q{number:03}")
        end(play, first)
        for _ in range(200):
            end(play, play.workers.given[-1].run)
        queues = [play.run(key.run).queue for key in play.workers.given[1:]]
        assert sorted(queues[:200]) == [f"q{number:03}" for number in range(200)]


def test_a_thousand_paused_jobs_with_waiting_runs_keep_nobody_from_starting(play: Stage) -> None:
    herd = [job(f"j{n}", max_running=1 if n % 2 else None) for n in range(600)]
    last = job("zz", max_running=1)
    play.adopt(*herd, last)
    for one in herd:
        pause(play, one.name)
        play.submit(one, priority=50)
    (run,) = play.submit(last)
    assert play.run(run).state is RunState.RUNNING
    with play.writer.transaction(play.clock.now()) as tx:
        assert reservation.open_lanes(tx, "default", [], 10) == []


# Queues and everything


def test_a_paused_queue_starts_nothing_and_its_slots_are_enqueued(play: Stage) -> None:
    play.adopt(every_minute(), job("mail", queue="email"))
    pause(play, "default", "queue")
    play.pass_by(MINUTE)
    (mail,) = play.submit(job("mail"))
    assert [disposition for disposition, _ in reasons(play, "minutely")] == ["started"]
    assert (play.run(1).state, play.run(mail).state) == (RunState.QUEUED, RunState.RUNNING)
    resume(play, "default", "queue")
    assert play.run(1).state is RunState.RUNNING


def test_everything_paused_holds_every_queue_and_every_slot_new_ones_too(play: Stage) -> None:
    play.adopt(every_minute())
    pause(play, EVERYTHING, "queue", note="migration")
    play.adopt(every_minute(), every_minute("later"), job())
    (run,) = play.submit(job())
    play.pass_by(MINUTE)
    assert reasons(play, "later") == [("skipped", "paused: migration (by ann)")]
    assert play.run(run).state is RunState.QUEUED
    resume(play, EVERYTHING, "queue")
    play.pass_by(MINUTE)
    assert [disposition for disposition, _ in reasons(play, "later")] == ["skipped", "started"]
    assert play.run(run).state is RunState.RUNNING


# Skipping


def test_the_next_slot_is_skipped_and_no_other(play: Stage) -> None:
    play.adopt(every_minute(overlap="allow"))
    assert play.ask(SkipNext(ANN, "minutely")).result() == [NOON + MINUTE]
    assert play.ask(SkipNext(ANN, "minutely")).result() == [NOON + 2 * MINUTE]
    for _ in range(3):
        play.pass_by(MINUTE)
    assert reasons(play, "minutely") == [
        ("skipped", "skip_next: by ann"),
        ("skipped", "skip_next: by ann"),
        ("started", ""),
    ]


def test_a_skip_can_be_taken_back(play: Stage) -> None:
    play.adopt(every_minute())
    play.ask(SkipNext(ANN, "minutely")).result()
    assert play.ask(SkipNext(ANN, "minutely", undo=True)).result() == [NOON + MINUTE]
    play.pass_by(MINUTE)
    assert reasons(play, "minutely") == [("started", "")]


def test_catch_up_does_not_give_another_slot_for_a_skipped_one(play: Stage) -> None:
    """Down over a slot to be skipped: the newest slot that was not skipped is the one caught up."""
    play.adopt(every_minute(catch_up="latest"))
    play.clock.pass_by(2 * MINUTE - timedelta(seconds=1))
    play.ask(SkipNext(ANN, "minutely")).result()
    play.clock.pass_by(2 * MINUTE - timedelta(seconds=30))
    play.again()
    started = [(slot, disposition) for slot, disposition in play.slots("minutely") if disposition == "started"]
    assert NOON + 2 * MINUTE not in [slot for slot, _ in started]
    assert ("skipped", "skip_next: by ann") in reasons(play, "minutely")


def test_a_changed_schedule_forgets_what_was_to_be_skipped(play: Stage) -> None:
    play.adopt(every_minute())
    play.ask(SkipNext(ANN, "minutely")).result()
    play.adopt(every_minute(expression="*/2 * * * *"))
    play.pass_by(2 * MINUTE)
    assert reasons(play, "minutely") == [("started", "")]


def test_a_slot_that_starts_nothing_anyway_is_not_the_one_to_skip(play: Stage) -> None:
    rest = Calendar("rest", (("2026-03-02", "2026-03-03"),))
    play.adopt(every_minute("daily", "0 9 * * *", exclude=(rest,)), every_minute())
    assert skip(play, "daily") == [datetime(2026, 3, 4, 9, 0, tzinfo=UTC)]
    pause(play, "minutely", until=NOON + 3 * MINUTE)
    assert skip(play, "minutely") == [NOON + 4 * MINUTE]
    pause(play, "minutely")
    with pytest.raises(Conflict, match="every slot is skipped"):
        skip(play, "minutely")


def test_the_slot_after_an_end_is_skipped_and_the_next_one_comes_as_long_after_it(play: Stage) -> None:
    play.adopt(every_minute("follows", "after 10m"))
    assert skip(play, "follows") == [NOON + 10 * MINUTE]
    for _ in range(2):
        play.pass_by(10 * MINUTE)
    assert [word for word, _ in reasons(play, "follows")] == ["skipped", "started"]


def test_the_journal_is_told_which_slot_is_skipped_and_by_whom(play: Stage) -> None:
    play.adopt(every_minute())
    skip(play, "minutely")
    told = [one for one in play.events if isinstance(one, events.SlotSkipped)]
    assert [(one.job, one.slot, one.by) for one in told] == [("minutely", NOON + MINUTE, "ann")]


def test_a_job_without_slots_has_none_to_skip(play: Stage) -> None:
    play.adopt(job())
    with pytest.raises(Conflict, match="no slots to skip"):
        play.ask(SkipNext(ANN, "work")).result()


# Circuits


def shaky() -> Any:
    made = every_minute("shaky", overlap="allow")
    return replace(made, retry=ONCE, circuit_breaker=CircuitBreaker(2, 300.0))


def latest(play: Stage) -> int:
    return play.workers.given[-1].run


def fail_twice(play: Stage) -> None:
    play.adopt(shaky())
    for _ in range(2):
        play.pass_by(MINUTE)
        end(play, latest(play), outcome=Outcome.FAILED)


def test_failures_in_a_row_open_the_circuit_for_the_cooldown(play: Stage) -> None:
    fail_twice(play)
    play.pass_by(MINUTE)
    assert reasons(play, "shaky")[-1] == (
        "skipped",
        "circuit: open after 2 failures in a row, until 2026-03-01T12:07:00Z",
    )
    assert play.history.standings()["shaky"].circuit.until == NOON + 7 * MINUTE


def test_a_success_in_between_counts_anew(play: Stage) -> None:
    play.adopt(shaky())
    for outcome in (Outcome.FAILED, Outcome.SUCCEEDED, Outcome.FAILED):
        play.pass_by(MINUTE)
        end(play, latest(play), outcome=outcome)
    play.pass_by(MINUTE)
    assert reasons(play, "shaky")[-1] == ("started", "")


@pytest.mark.parametrize("works", [True, False])
def test_after_the_cooldown_one_trial_decides(play: Stage, works: bool) -> None:
    fail_twice(play)
    for _ in range(5):
        play.pass_by(MINUTE)
    trial = latest(play)
    assert [disposition for disposition, _ in reasons(play, "shaky")] == ["started"] * 2 + ["skipped"] * 4 + ["started"]
    play.pass_by(MINUTE)
    assert reasons(play, "shaky")[-1] == ("skipped", f"circuit: its trial, run {trial}, is not over")
    end(play, trial, outcome=Outcome.SUCCEEDED if works else Outcome.FAILED)
    play.pass_by(MINUTE)
    assert reasons(play, "shaky")[-1][0] == ("started" if works else "skipped")


def test_a_trial_that_is_cancelled_leaves_its_place_to_the_next_slot(play: Stage) -> None:
    fail_twice(play)
    for _ in range(5):
        play.pass_by(MINUTE)
    end(play, latest(play), outcome=Outcome.CANCELLED)
    assert play.history.standings()["shaky"].circuit.trial is None
    play.pass_by(MINUTE)
    assert reasons(play, "shaky")[-1] == ("started", "")


def test_a_breaker_that_was_taken_out_opens_nothing_any_more(play: Stage) -> None:
    fragile = replace(shaky(), circuit_breaker=CircuitBreaker(1, 300.0))
    play.adopt(fragile)
    play.pass_by(MINUTE)
    play.adopt(replace(fragile, circuit_breaker=None))
    end(play, latest(play), outcome=Outcome.FAILED)
    play.pass_by(MINUTE)
    assert [disposition for disposition, _ in reasons(play, "shaky")] == ["started", "started"]


def test_a_run_that_was_accepted_before_there_was_a_breaker_can_be_its_trial(play: Stage) -> None:
    sound = replace(shaky(), circuit_breaker=None)
    play.adopt(sound)
    first, second = play.submit(sound, 2)
    play.adopt(replace(sound, circuit_breaker=CircuitBreaker(1, 30.0)))
    end(play, first, outcome=Outcome.FAILED)
    end(play, second)
    assert play.history.standings()["shaky"].circuit.until is None


def test_submitted_runs_wait_for_the_circuit_and_the_oldest_is_the_trial(play: Stage) -> None:
    fail_twice(play)
    first, second = play.submit(shaky(), 2)
    assert play.run(first).state is RunState.QUEUED
    play.again()
    play.clock.pass_by(5 * MINUTE)
    play.engine.agenda.remove("shaky")
    play.tick()
    assert [play.run(run).state for run in (first, second)] == [RunState.RUNNING, RunState.QUEUED]
    end(play, first)
    assert play.run(second).state is RunState.RUNNING


def test_resuming_a_job_closes_its_circuit(play: Stage) -> None:
    fail_twice(play)
    assert resume(play, "shaky")
    play.pass_by(MINUTE)
    assert reasons(play, "shaky")[-1] == ("started", "")


def test_a_trial_that_is_cancelled_makes_room_for_the_next_slot(play: Stage) -> None:
    fail_twice(play)
    for _ in range(5):
        play.pass_by(MINUTE)
    trial = latest(play)
    play.cancel(trial)
    end(play, trial, outcome=Outcome.CANCELLED)
    play.pass_by(MINUTE)
    assert reasons(play, "shaky")[-1] == ("started", "")
    assert latest(play) != trial


def test_a_cooldown_lasts_as_long_as_it_was_to_over_a_clock_that_is_set(play: Stage) -> None:
    fail_twice(play)
    play.clock.step(timedelta(hours=-1))
    play.tick()
    assert play.history.standings()["shaky"].circuit.until == NOON + 7 * MINUTE - timedelta(hours=1)


def test_a_breaker_that_is_taken_out_leaves_no_open_circuit(play: Stage) -> None:
    fail_twice(play)
    (run,) = play.submit(shaky())
    play.adopt(replace(shaky(), circuit_breaker=None))
    assert play.run(run).state is RunState.RUNNING


# Ending every run of a job


def test_every_run_of_a_job_is_cancelled_also_of_one_that_is_not_defined_any_more(play: Stage) -> None:
    play.adopt(job(max_running=1), job("other"))
    first, second = play.submit(job(max_running=1), 2)
    play.adopt(job("other"))
    handled = play.ask(CancelJob(ANN, "work")).result()
    assert sorted(handled.runs) == [first, second]
    assert play.run(second).state is RunState.CANCELLED
    assert play.workers.stopped == [(AttemptKey(first, 1), Outcome.CANCELLED)]
    with pytest.raises(NotFound):
        play.ask(CancelJob(ANN, "never-was")).result()

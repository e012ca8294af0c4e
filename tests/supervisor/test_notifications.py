"""Who is told of what, through the ticks: each occasion in the transaction that makes it, and never too often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.core.channels import Channel
from jobd.core.errors import NotFound
from jobd.core.intents import Pause, Submit, TestChannel
from jobd.core.model import AttemptKey, CircuitBreaker, Expect, Job, Notify, RetryPolicy
from jobd.core.names import NOTIFY
from jobd.core.records import RunFilter, RunRecord
from jobd.core.states import Outcome, RunState
from jobd.supervisor import channels
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.bell import Bell
from tests.supervisor.stage import ANN, Stage, every_minute, job, stage

MINUTE = timedelta(minutes=1)
OPS = Channel("ops", "webhook", {"url": "https://example.org/SECRET"})
HC = Channel("hc", "healthcheck", {"url": "https://hc.example.org/SECRET"})
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path, seats=4) as made:
        ring_through(made, OPS, HC)
        yield made


def ring_through(play: Stage, *known: Channel) -> None:
    """Have notifications go through these channels, as when jobd starts."""
    with play.writer.transaction(play.clock.now()) as tx:
        lines = channels.put_in_force(tx, known, Aftermath())
    play.engine.rules.bell = Bell("db1", lambda run, attempt, job: f"tail of {run}.{attempt}", lines=lines)


def watched(name: str = "work", *on: str, via: tuple[str, ...] = ("ops",), repeat: float = 3600.0, **more: Any) -> Job:
    return job(name, notify=Notify(on or ("failure", "recovery", "late"), via, repeat), **{"retry": ONCE, **more})


def notes(play: Stage, channel: str = "ops") -> list[RunRecord]:
    """The runs that carry messages to a channel, oldest first."""
    found, _ = play.history.runs(RunFilter(job=f"{NOTIFY}.{channel}", limit=500))
    return found[::-1]


def told(play: Stage, channel: str = "ops") -> list[tuple[str, str]]:
    return [(one.payload["occasion"], one.payload.get("job", "")) for one in notes(play, channel)]


def run_and(play: Stage, work: Job, outcome: Outcome = Outcome.FAILED, **more: Any) -> int:
    """Submit a run of a job, and report how its first attempt ended."""
    (run,) = play.submit(work)
    settle(play)
    ends = {"exit_code": 0 if outcome is Outcome.SUCCEEDED else 3, "retryable": False, **more}
    play.report(AttemptKey(run, 1), outcome, **ends)
    settle(play)
    return run


def settle(play: Stage) -> None:
    """Carry every message that has a worker, as channels that work would."""
    for _ in range(20):
        carried = [one for one in play.workers.at_work if _is_note(play, one)]
        for key in carried:
            play.report(key)
        play.tick()
        if not carried:
            return


def _is_note(play: Stage, key: AttemptKey) -> bool:
    return play.run(key.run).queue == NOTIFY


def test_a_final_failure_is_told_in_the_same_commit_with_what_there_is_to_know(play: Stage) -> None:
    play.adopt(work := watched())
    (run,) = play.submit(work)
    play.report(AttemptKey(run, 1), Outcome.FAILED, exit_code=3, error="no\x1b[2J luck", retryable=False)
    (note,) = notes(play)
    assert note.created_at == play.run(run).finished_at
    said = note.payload
    assert (said["occasion"], said["job"], said["run"], said["attempt"]) == ("failure", "work", run, 1)
    assert (said["exit_code"], said["outcome"], said["host"]) == (3, "failed", "db1")
    assert (said["title"], said["tail"]) == ("work on db1 failed", f"tail of {run}.1")
    assert "no\\x1b[2J luck" in said["text"]
    assert "\x1b" not in json.dumps(said, ensure_ascii=False)


def test_nothing_of_a_channel_is_in_the_store(play: Stage) -> None:
    play.adopt(work := watched(via=("ops", "hc")))
    run_and(play, work)
    assert notes(play)
    assert notes(play, "hc")
    play.writer.checkpoint(truncate=True)
    assert b"SECRET" not in (play.directory / "jobd.db").read_bytes()


def test_what_goes_on_is_told_again_only_after_a_while_and_counted(play: Stage) -> None:
    play.adopt(work := watched(repeat=600))
    for _ in range(5):
        run_and(play, work)
        play.pass_by(MINUTE)
    assert told(play) == [("failure", "work")]
    play.pass_by(6 * MINUTE)
    run_and(play, work)
    assert [one.payload["count"] for one in notes(play)] == [1, 5]


def test_recovery_is_told_once_and_a_failure_after_it_at_once(play: Stage) -> None:
    play.adopt(work := watched())
    for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED):
        run_and(play, work, outcome)
    assert [occasion for occasion, _ in told(play)] == ["failure", "recovery", "failure"]
    assert notes(play)[1].payload["since"]


def test_a_restart_remembers_what_was_told(play: Stage) -> None:
    play.adopt(work := watched())
    run_and(play, work)
    play.again()
    ring_through(play, OPS, HC)
    run_and(play, work)
    run_and(play, work, Outcome.SUCCEEDED)
    assert [occasion for occasion, _ in told(play)] == ["failure", "recovery"]


def test_a_failure_of_an_attempt_is_told_apart_from_that_of_the_run(play: Stage) -> None:
    play.adopt(work := watched("work", "attempt_failure", "failure", retry=RetryPolicy("fixed", 2, 1.0, jitter=0.0)))
    (run,) = play.submit(work)
    play.report(AttemptKey(run, 1), Outcome.FAILED, exit_code=3)
    settle(play)
    play.pass_by(MINUTE)
    play.report(AttemptKey(run, 2), Outcome.FAILED, exit_code=3)
    assert told(play) == [("attempt_failure", "work"), ("failure", "work")]


def test_success_is_told_each_time_to_those_who_ask_for_it(play: Stage) -> None:
    play.adopt(work := watched("work", "success"))
    run_and(play, work, Outcome.SUCCEEDED)
    run_and(play, work, Outcome.SUCCEEDED)
    assert told(play) == [("success", "work")] * 2


def test_lateness_is_told_once_and_recovery_ends_it(play: Stage) -> None:
    play.adopt(work := watched(expect=Expect(max_time_since_success=600)))
    for _ in range(4):
        play.pass_by(10 * MINUTE)
        settle(play)
    assert told(play) == [("late", "work")]
    run_and(play, work, Outcome.SUCCEEDED)
    assert told(play) == [("late", "work"), ("recovery", "work")]


def test_a_paused_job_is_not_told_of_as_late(play: Stage) -> None:
    play.adopt(watched(expect=Expect(max_time_since_success=600)))
    play.ask(Pause(ANN, "job", "work", None, "")).result()
    play.pass_by(60 * MINUTE)
    assert told(play) == []


def test_an_attempt_that_is_near_its_timeout_is_told_of_for_each_run(play: Stage) -> None:
    play.adopt(work := watched("work", "timeout_warning", timeout_seconds=600.0, repeat=0))
    (run,) = play.submit(work)
    play.pass_by(7 * MINUTE)
    assert told(play) == []
    play.pass_by(MINUTE)
    (note,) = notes(play)
    assert (note.payload["occasion"], note.payload["run"]) == ("timeout_warning", run)
    assert play.history.standings()["work"].late == ()


def test_slots_that_were_missed_are_told_of_together(play: Stage) -> None:
    wanted = watched("minutely", "missed").notify
    play.adopt(replace(every_minute(catch_up="skip"), notify=wanted))
    play.clock.sleep(30 * MINUTE)
    play.tick()
    (note,) = notes(play)
    assert (note.payload["occasion"], note.payload["count"]) == ("missed", 29)


def test_a_circuit_that_opens_is_told_of(play: Stage) -> None:
    play.adopt(broken := watched("broken", "circuit_open", circuit_breaker=CircuitBreaker(1, 600.0)))
    run_and(play, broken)
    assert told(play) == [("circuit_open", "broken")]


def test_a_run_of_a_job_that_is_not_defined_any_more_is_told_of_as_it_was_accepted(play: Stage) -> None:
    play.adopt(work := watched())
    (run,) = play.submit(work)
    play.adopt(job("other"))
    play.report(AttemptKey(run, 1), Outcome.FAILED, exit_code=3, retryable=False)
    assert told(play) == [("failure", "work")]


def test_ad_hoc_commands_are_told_of_where_the_defaults_say_so(play: Stage) -> None:
    play.adopt(work := watched())
    template = watched("adhoc")
    for known, expected in ((None, []), (template, [("failure", "adhoc")])):
        play.engine.rules.bell.template = known
        (accepted,) = play.ask(Submit(ANN, (replace(play.request(work), job=template, adhoc=True),))).result()
        play.report(AttemptKey(accepted.id, 1), Outcome.FAILED, exit_code=3, retryable=False)
        assert told(play) == expected


def test_a_notification_that_fails_is_told_to_nobody(play: Stage) -> None:
    play.adopt(work := watched())
    (run,) = play.submit(work)
    play.report(AttemptKey(run, 1), Outcome.FAILED, exit_code=3, retryable=False)
    (note,) = notes(play)
    play.report(AttemptKey(note.id, 1), Outcome.FAILED, exit_code=1, retryable=False)
    settle(play)
    assert play.run(note.id).state is RunState.FAILED
    assert len(notes(play)) == 1


def test_many_at_once_come_together_in_one_message(play: Stage) -> None:
    many = [watched(f"work-{n}") for n in range(60)]
    play.adopt(*many)
    for one in many:
        run_and(play, one)
    alone, together = notes(play)[:5], notes(play)[5:]
    assert [one.payload["occasion"] for one in alone] == ["failure"] * 5
    assert [one.state for one in together] == [RunState.SCHEDULED]
    (digest,) = together
    assert (digest.payload["occasion"], digest.payload["count"]) == ("digest", 55)
    assert len(digest.payload["items"]) == 55
    assert "work-59 on db1 failed" in digest.payload["text"]
    play.pass_by(2 * MINUTE)
    settle(play)
    assert play.run(digest.id).state is RunState.SUCCEEDED


def test_a_channel_that_hangs_gathers_one_digest_and_not_a_run_for_each_failure(play: Stage) -> None:
    many = [watched(f"work-{n}") for n in range(12)]
    play.adopt(*many)
    for one in many:
        (run,) = play.submit(one)
        play.report(AttemptKey(run, 1), Outcome.FAILED, exit_code=1, retryable=False)
    assert len(notes(play)) == 6
    assert notes(play)[-1].payload["count"] == 7


def test_a_healthcheck_is_told_of_start_and_end_of_every_run(play: Stage) -> None:
    play.adopt(work := watched("work", "late", via=("hc",)))
    good = run_and(play, work, Outcome.SUCCEEDED)
    bad = run_and(play, work)
    pings = [(one.payload["run"], one.payload["signal"]) for one in notes(play, "hc")]
    assert pings == [(good, "start"), (good, "success"), (bad, "start"), (bad, "3")]
    rids = [one.payload["rid"] for one in notes(play, "hc")]
    assert rids[0] == rids[1] != rids[2] == rids[3]
    assert f"tail of {bad}.1" in notes(play, "hc")[3].payload["text"]


def test_pings_for_a_healthcheck_that_hangs_are_bounded_and_the_newest_stay(play: Stage) -> None:
    play.adopt(work := watched("work", "late", via=("hc",)))
    for _ in range(70):
        (run,) = play.submit(work)
        play.tick()
        play.report(AttemptKey(run, 1))
    waiting = [one for one in notes(play, "hc") if one.state is RunState.QUEUED]
    assert len(waiting) <= 100
    assert waiting[-1].payload["run"] == run


def test_messages_for_a_channel_that_is_taken_out_are_dropped_with_the_reason(play: Stage) -> None:
    play.adopt(work := watched())
    (run,) = play.submit(work)
    play.report(AttemptKey(run, 1), Outcome.FAILED, exit_code=3, retryable=False)
    (note,) = notes(play)
    play.report(AttemptKey(note.id, 1), Outcome.FAILED, exit_code=1)
    assert play.run(note.id).state is RunState.RETRYING
    play.again()
    ring_through(play, HC)
    assert (play.run(note.id).state, play.run(note.id).error) == (
        RunState.CANCELLED,
        "channel ops is not in jobd.yaml any more",
    )


def test_a_test_goes_through_a_channel_and_only_through_one_there_is(play: Stage) -> None:
    accepted = play.ask(TestChannel(ANN, "ops")).result()
    (note,) = notes(play)
    assert (note.id, note.payload["occasion"], note.max_attempts) == (accepted.id, "test", 1)
    with pytest.raises(NotFound, match=r"no channel opps .*: hc, ops"):
        play.ask(TestChannel(ANN, "opps")).result()


def test_a_busy_queue_and_notifications_do_not_starve_each_other(play: Stage) -> None:
    play.adopt(work := watched())
    runs = play.submit(work, 8)
    play.report(AttemptKey(runs[0], 1), Outcome.FAILED, exit_code=1, retryable=False)
    queues = [order.queue for order in play.workers.orders]
    assert queues.count(NOTIFY) == 1
    play.report(AttemptKey(runs[1], 1), Outcome.FAILED, exit_code=1, retryable=False)
    assert play.workers.orders[-1].queue == "default"

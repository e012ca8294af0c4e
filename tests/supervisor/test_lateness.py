"""Lateness through the ticks: told once, kept in the store, over when it holds again, and never of a held job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobd.core import events
from jobd.core.holds import EVERYTHING
from jobd.core.intents import Pause, Resume
from jobd.core.lateness import Check
from jobd.core.model import AttemptKey, Expect, Job
from jobd.core.states import Outcome
from tests.supervisor.stage import ANN, Stage, job, stage

MINUTE = timedelta(minutes=1)
STALE = Expect(max_time_since_success=600)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


def expecting(name: str = "work", **expect: float) -> Job:
    return job(name, expect=Expect(**expect))


def told(play: Stage) -> list[tuple[str, str]]:
    """Of the lateness of which job the engine told, and whether it began or ended."""
    return [
        (one.job, "late" if isinstance(one, events.JobLate) else "over")
        for one in play.events
        if isinstance(one, events.JobLate | events.LatenessEnded)
    ]


def late(play: Stage, name: str = "work") -> list[Check]:
    return [one.check for one in play.history.standings()[name].late]


def test_a_job_without_success_is_late_once_and_until_it_succeeds(play: Stage) -> None:
    play.adopt(work := expecting(max_time_since_success=600))
    play.pass_by(9 * MINUTE)
    assert not late(play)
    for _ in range(3):
        play.pass_by(2 * MINUTE)
    assert (late(play), told(play)) == ([Check.SUCCESS], [("work", "late")])
    (run,) = play.submit(work)
    play.report(AttemptKey(run, 1), Outcome.FAILED, exit_code=1, retryable=False)
    assert late(play) == [Check.SUCCESS]
    play.retry(run)
    play.report(AttemptKey(run, 2))
    assert (late(play), told(play)) == ([], [("work", "late"), ("work", "over")])


def test_the_engine_wakes_by_itself_when_a_job_becomes_late(play: Stage) -> None:
    play.adopt(expecting(max_time_since_success=30))
    assert play.engine.lateness.next_at() == play.clock.now() + timedelta(seconds=30)


def test_a_restart_neither_forgets_lateness_nor_tells_of_it_again(play: Stage) -> None:
    play.adopt(expecting(max_time_since_success=600))
    play.pass_by(11 * MINUTE)
    play.again()
    assert (late(play), told(play)) == ([Check.SUCCESS], [])


def test_a_job_can_become_late_while_jobd_is_down(play: Stage) -> None:
    play.adopt(expecting(max_time_since_success=600))
    play.clock.pass_by(11 * MINUTE)
    play.again()
    assert told(play) == [("work", "late")]


@pytest.mark.parametrize(("kind", "name"), [("job", "work"), ("queue", "default"), ("queue", EVERYTHING)])
def test_a_paused_job_is_not_late_and_owes_nothing_when_it_is_resumed(play: Stage, kind: str, name: str) -> None:
    play.adopt(expecting(max_time_since_success=600))
    play.pass_by(11 * MINUTE)
    play.ask(Pause(ANN, kind, name, None, "")).result()  # type: ignore[arg-type]
    assert late(play) == []
    play.pass_by(60 * MINUTE)
    play.ask(Resume(ANN, kind, name)).result()  # type: ignore[arg-type]
    play.pass_by(9 * MINUTE)
    assert told(play) == [("work", "late"), ("work", "over")]
    play.pass_by(2 * MINUTE)
    assert late(play) == [Check.SUCCESS]


def test_nothing_becomes_late_while_jobd_drains(play: Stage) -> None:
    play.adopt(expecting(max_time_since_success=600))
    play.engine.draining = True
    play.pass_by(11 * MINUTE)
    assert told(play) == []


def test_a_run_that_waits_too_long_is_late_until_it_starts(play: Stage) -> None:
    play.adopt(work := expecting(late_after=300), job("other"))
    first, second, waits = [*play.submit(job("other"), 2), *play.submit(work)]
    play.pass_by(4 * MINUTE)
    assert not late(play)
    play.pass_by(2 * MINUTE)
    assert late(play) == [Check.START]
    assert [one.run for one in play.events if isinstance(one, events.JobLate)] == [waits]
    play.report(AttemptKey(first, 1))
    play.report(AttemptKey(second, 1))
    assert (late(play), told(play)) == ([], [("work", "late"), ("work", "over")])


def test_a_run_for_a_later_instant_is_not_late_before_it(play: Stage) -> None:
    play.adopt(work := expecting(late_after=300), job("other"))
    play.submit(job("other"), 2)
    play.submit(work, run_at=play.clock.now() + 60 * MINUTE)
    play.pass_by(64 * MINUTE)
    assert not late(play)
    play.pass_by(2 * MINUTE)
    assert late(play) == [Check.START]


def test_each_run_that_takes_too_long_is_told_of(play: Stage) -> None:
    play.adopt(work := expecting(max_runtime=300))
    first, second = play.submit(work, 2)
    play.pass_by(6 * MINUTE)
    assert late(play) == [Check.RUNTIME]
    play.report(AttemptKey(first, 1))
    assert late(play) == [Check.RUNTIME]
    play.report(AttemptKey(second, 1))
    assert late(play) == []


def test_a_job_that_is_expected_nothing_of_any_more_is_not_late(play: Stage) -> None:
    play.adopt(expecting(max_time_since_success=600), expecting("gone", max_time_since_success=600))
    play.pass_by(11 * MINUTE)
    play.adopt(job())
    assert late(play) == []
    assert sorted(told(play)) == [("gone", "late"), ("gone", "over"), ("work", "late"), ("work", "over")]


def test_a_reload_that_expects_more_has_the_job_judged_at_once(play: Stage) -> None:
    play.adopt(expecting(max_time_since_success=6000))
    play.pass_by(11 * MINUTE)
    play.adopt(expecting(max_time_since_success=600))
    assert late(play) == [Check.SUCCESS]

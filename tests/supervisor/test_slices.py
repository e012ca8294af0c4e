"""Many jobs due at once are planned a slice at a time: none is lost, and others have their turn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobd.core.model import Job
from jobd.supervisor import engine
from tests.supervisor.stage import NOON, Stage, every_minute, job, stage

MINUTE = timedelta(minutes=1)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(engine, "MOST_PLANNED", 10)
    with stage(tmp_path, seats=0) as made:
        yield made


def herd(count: int, **more: object) -> list[Job]:
    return [every_minute(f"job{n:02}", **more) for n in range(count)]


def decided(play: Stage) -> int:
    return len(play.history.slots(None, None, None, 1000, None)[0])


def await_all(play: Stage, count: int) -> int:
    """Tick until so many slots are decided; how many ticks that took."""
    for ticks in range(100):
        if decided(play) >= count:
            return ticks
        play.tick()
    raise AssertionError(f"{decided(play)} of {count} slots were decided")


def test_every_job_of_a_herd_gets_its_slot_and_its_run(play: Stage) -> None:
    play.adopt(*herd(35))
    play.pass_by(MINUTE)
    assert await_all(play, 35) >= 1
    found, _ = play.history.slots(None, None, None, 1000, None)
    assert {one.job for one in found} == {f"job{n:02}" for n in range(35)}
    assert {one.slot for one in found} == {NOON + MINUTE}
    assert len({one.run for one in found}) == 35


def test_whoever_asks_is_answered_between_two_slices(play: Stage) -> None:
    play.adopt(job(), *herd(95))
    play.clock.pass_by(MINUTE)
    play.engine.wake()
    (run,) = play.submit(job())
    assert decided(play) < 95
    assert play.run(run).id == run
    await_all(play, 95)


def test_a_correction_of_the_clock_reaches_jobs_of_later_slices_too(play: Stage) -> None:
    """Each job owes one catch-up at most, also those that are planned ticks after the step was noticed."""
    play.adopt(*herd(35, catch_up="all", overlap="allow"))
    play.clock.step(timedelta(days=30))
    play.tick()
    for _ in range(10):
        play.tick()
    found, _ = play.history.slots(None, None, None, 5000, None)
    started = [one for one in found if one.run is not None]
    assert len(started) == 35
    assert len({one.job for one in started}) == 35


def test_a_clock_set_back_moves_the_next_slot_of_every_job(play: Stage) -> None:
    play.adopt(*herd(35))
    play.pass_by(MINUTE)
    await_all(play, 35)
    play.clock.step(-timedelta(days=2))
    for _ in range(10):
        play.tick()
    for n in range(35):
        at = play.engine.agenda.at(f"job{n:02}")
        assert at is not None
        assert at - play.clock.now() <= MINUTE

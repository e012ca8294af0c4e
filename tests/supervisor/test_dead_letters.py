"""Dead letters through the ticks: when a run becomes one, and what becomes of it when somebody acts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobd.core.errors import NotFound
from jobd.core.intents import DropDead, Handled, RetryDead
from jobd.core.model import AttemptKey, Directive, RetryPolicy, Unique
from jobd.core.records import DeadFilter
from jobd.core.states import Outcome, RunState
from tests.supervisor.stage import ANN, Stage, job, stage

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


def died(play: Stage, count: int = 1, **more: object) -> list[int]:
    work = job(retry=ONCE, **more)
    play.adopt(work)
    found = [play.submit(work)[0] for _ in range(count)]
    for run in found:
        play.report(AttemptKey(run, 1), Outcome.FAILED, exit_code=3)
    return found


def test_a_run_out_of_attempts_becomes_a_dead_letter_in_the_same_commit(play: Stage) -> None:
    (run,) = died(play)
    (letter,), _ = play.history.dead_letters(DeadFilter())
    assert (letter.run, letter.reason, letter.attempts, letter.queue) == (run, "exit status 3", 1, "default")
    assert letter.died_at == play.clock.now()


def test_a_discarded_run_becomes_one_with_the_job_s_own_reason(play: Stage) -> None:
    play.adopt(job())
    (run,) = play.submit(job())
    play.report(AttemptKey(run, 1), Outcome.FAILED, directive=Directive("discard", reason="no such customer"))
    assert [one.reason for one in play.history.dead_letters(DeadFilter())[0]] == ["no such customer"]


def test_a_cancelled_run_and_one_that_will_be_tried_again_are_none(play: Stage) -> None:
    play.adopt(job())
    first, second = play.submit(job(), 2)
    play.report(AttemptKey(first, 1), Outcome.FAILED, exit_code=1)
    play.report(AttemptKey(second, 1), Outcome.CANCELLED)
    assert play.history.dead_letters(DeadFilter())[0] == []


def test_a_job_may_keep_none(play: Stage) -> None:
    (run,) = died(play, dead_letter=False)
    assert play.run(run).state is RunState.FAILED
    assert play.history.dead_letters(DeadFilter())[0] == []


def test_retrying_dead_letters_queues_the_same_runs_with_attempts_counted_on(play: Stage) -> None:
    first, second = died(play, 2)
    handled = play.ask(RetryDead(ANN, DeadFilter(job="work"), {"fixed": True}, replaces_payload=True)).result()
    assert (handled.runs, handled.is_partial) == ((first, second), False)
    assert play.history.dead_letters(DeadFilter())[0] == []
    assert [order.key for order in play.workers.orders[-2:]] == [AttemptKey(first, 2), AttemptKey(second, 2)]
    assert json.loads(play.workers.orders[-1].payload) == {"fixed": True}
    assert play.history.deaths(first)[0].acted_by == "ann"
    play.report(AttemptKey(first, 2), Outcome.FAILED, exit_code=4)
    assert [one.attempts for one in play.history.dead_letters(DeadFilter())[0]] == [2]


def test_retrying_the_run_itself_settles_its_dead_letter_too(play: Stage) -> None:
    (run,) = died(play)
    assert play.retry(run) is RunState.QUEUED
    assert [one.action for one in play.history.deaths(run)] == ["retried"]


def test_dropping_puts_letters_away_and_keeps_their_runs(play: Stage) -> None:
    first, second = died(play, 2)
    assert play.ask(DropDead(ANN, DeadFilter(runs=(first,)))).result().runs == (first,)
    assert [one.run for one in play.history.dead_letters(DeadFilter())[0]] == [second]
    assert play.run(first).state is RunState.FAILED


def test_a_run_that_dies_again_at_once_goes_behind_those_whose_turn_has_not_come(
    play: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = died(play, 3)
    monkeypatch.setattr("jobd.supervisor.again.MOST_DEAD", 2)
    handled = play.ask(RetryDead(ANN, DeadFilter(job="work"))).result()
    assert (handled.runs, handled.is_partial) == ((first, second), True)
    play.report(AttemptKey(first, 2), Outcome.FAILED, exit_code=3)
    assert play.ask(RetryDead(ANN, DeadFilter(job="work"))).result().runs == (third, first)


def test_letters_whose_unique_key_is_taken_stay_and_stand_in_nobodys_way(
    play: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = job(retry=ONCE)
    play.adopt(work)

    def dead(text: str) -> int:
        (run,) = play.submit(work, unique=Unique(text=text))
        play.report(AttemptKey(run, 1), Outcome.FAILED, exit_code=3)
        return run

    taken = [dead("a"), dead("b")]
    twice = [dead("c"), dead("c")]  # the first that comes again takes the key from the other
    free = [dead(text) for text in "def"]
    for text in "ab":
        play.submit(work, unique=Unique(text=text))
    monkeypatch.setattr("jobd.supervisor.again.MOST_DEAD", 2)
    asked = RetryDead(ANN, DeadFilter(job="work"))
    answers = [play.ask(asked).result()]
    while answers[-1].is_partial:
        answers.append(play.ask(asked).result())
    assert [run for one in answers for run in one.runs] == [twice[0], *free]
    assert [one.held for one in answers] == [(), (), (taken[0], taken[1])]
    assert twice[1] in {one.run for one in play.history.dead_letters(DeadFilter())[0]}
    assert play.ask(asked).result() == Handled((), held=(taken[0], taken[1]))
    named = play.ask(RetryDead(ANN, DeadFilter(runs=(taken[0],)))).result()
    assert (named.runs, named.held) == ((), (taken[0],))


def test_a_named_run_that_is_no_dead_letter_is_refused_and_nothing_is_done(play: Stage) -> None:
    (run,) = died(play)
    with pytest.raises(NotFound, match="run 99 is no dead letter"):
        play.ask(RetryDead(ANN, DeadFilter(runs=(run, 99)))).result()
    assert play.run(run).state is RunState.FAILED


def test_somebody_else_s_dead_letters_are_not_there_for_who_may_only_act_on_their_own(play: Stage) -> None:
    died(play)
    assert play.ask(RetryDead(ANN, DeadFilter(owner="bob"))).result().runs == ()


def test_a_poisoned_payload_stops_nobody_and_is_a_dead_letter(play: Stage) -> None:
    play.adopt(job())
    play.workers.count = 0
    bad, good = play.submit(job(), 2, payload={"a": 1})
    with play.writer.transaction(play.clock.now()) as tx:
        tx._connection.raw.execute("UPDATE run_data SET payload = CAST(x'ff' AS TEXT) WHERE run = ?", (bad,))
    play.workers.count = 2
    play.engine.room_made()
    play.tick()
    assert [order.key.run for order in play.workers.orders] == [good]
    play.tick()
    (letter,), _ = play.history.dead_letters(DeadFilter())
    assert (letter.run, letter.reason) == (bad, "undecodable: its payload cannot be read by this version of jobd")

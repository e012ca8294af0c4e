"""Which job is due next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from jobd.core.agenda import Agenda

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


def test_due_jobs_come_earliest_first_and_stay_until_they_are_set_anew() -> None:
    agenda = Agenda()
    for name, number in (("late", 3), ("first", 1), ("second", 2)):
        agenda.set(name, minute(number))
    assert agenda.due(minute(2), 10) == ["first", "second"]
    assert agenda.due(minute(2), 10) == ["first", "second"]
    agenda.set("first", minute(9))
    assert agenda.next_at() == minute(2)
    assert agenda.due(minute(2), 10) == ["second"]
    assert sorted(agenda.names()) == ["first", "late", "second"]


def test_a_job_set_back_and_forth_is_due_once() -> None:
    agenda = Agenda()
    for number in (1, 2, 1, 2, 1):
        agenda.set("job", minute(number))
    assert agenda.due(minute(5), 10) == ["job"]
    agenda.remove("job")
    assert agenda.next_at() is None


def test_a_job_put_off_is_not_due_at_its_old_time() -> None:
    agenda = Agenda()
    agenda.set("other", minute(1))
    agenda.set("job", minute(5))
    agenda.set("job", minute(9))
    assert agenda.due(minute(6), 10) == ["other"]
    agenda.remove("other")
    assert agenda.next_at() == minute(9)


def test_nothing_next_takes_a_job_off() -> None:
    agenda = Agenda()
    agenda.set("job", minute(1))
    agenda.set("job", None)
    agenda.remove("stranger")
    assert (agenda.due(minute(5), 10), agenda.next_at(), len(agenda)) == ([], None, 0)


def test_what_was_set_over_does_not_pile_up() -> None:
    agenda = Agenda()
    for number in range(10_000):
        agenda.set(f"job{number % 5}", minute(number))
    assert len(agenda._heap) < 200
    assert agenda.next_at() == minute(9995)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.one_of(st.none(), st.integers(0, 20)), st.booleans())))
def test_an_agenda_is_a_sorted_dictionary(changes: list[tuple[str, int | None, bool]]) -> None:
    agenda, model = Agenda(), dict[str, datetime]()
    for name, number, looks in changes:
        if looks and number is not None:
            due = sorted((at, known) for known, at in model.items() if at <= minute(number))
            assert agenda.due(minute(number), 99) == [known for _, known in due]
            for _, known in due:
                agenda.remove(known)
                del model[known]
        elif number is None:
            agenda.set(name, None)
            model.pop(name, None)
        else:
            agenda.set(name, minute(number))
            model[name] = minute(number)
        assert agenda.next_at() == min(model.values(), default=None)


def test_no_more_are_told_than_are_asked_for_and_the_others_stay_on() -> None:
    agenda = Agenda()
    for n in range(5):
        agenda.set(f"job{n}", minute(n))
    assert agenda.due(minute(9), 2) == ["job0", "job1"]
    for name in ("job0", "job1"):
        agenda.set(name, minute(20))
    assert agenda.due(minute(9), 2) == ["job2", "job3"]


def test_all_can_be_called_up_at_once() -> None:
    agenda = Agenda()
    agenda.set("late", minute(50))
    agenda.set("gone", minute(1))
    agenda.remove("gone")
    agenda.recall(minute(2))
    assert agenda.due(minute(2), 9) == ["late"]

"""How idle workers are shared among queues and lanes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobd.core.allot import Lane, Room, room, share, turns

A, B, C = Lane("a", 0), Lane("b", 0), Lane("a", 7)


def rooms(
    waiting: list[Lane],
    running: dict[Lane, int] | None = None,
    queues: dict[str, int] | None = None,
    jobs: dict[int, int] | None = None,
    seats: int = 8,
) -> list[Room]:
    return room(waiting, running or {}, (queues or {}).get, (jobs or {}).get, seats)


def test_a_queue_without_a_limit_may_take_every_seat() -> None:
    assert rooms([A]) == [Room("a", ((0, 8),), 8)]


def test_a_queue_may_take_what_its_limit_leaves() -> None:
    assert rooms([A], {A: 1, C: 1}, {"a": 3}) == [Room("a", ((0, 1),), 1)]
    assert rooms([A], {A: 3}, {"a": 3}) == []
    assert rooms([A], {A: 5}, {"a": 3}) == [], "a limit that was lowered below what runs"


def test_a_lane_may_take_what_its_job_leaves_in_all_queues() -> None:
    assert rooms([A, C], {Lane("elsewhere", 7): 1}, jobs={7: 3}) == [Room("a", ((0, 8), (7, 2)), 8)]
    assert rooms([A, C], {C: 3}, jobs={7: 3}) == [Room("a", ((0, 8),), 8)]
    assert rooms([C], {C: 3}, jobs={7: 3}) == []


def test_no_lane_gets_more_than_its_queue() -> None:
    assert rooms([C], queues={"a": 2}, jobs={7: 5}) == [Room("a", ((7, 2),), 2)]


def test_without_seats_there_is_no_room() -> None:
    assert rooms([A, B, C], seats=0) == []


def test_the_queue_after_the_one_served_last_comes_first() -> None:
    several = [Room(name, ((0, 1),), 1) for name in ("c", "a", "b")]
    assert [one.queue for one in turns(several, None)] == ["a", "b", "c"]
    assert [one.queue for one in turns(several, "a")] == ["b", "c", "a"]
    assert [one.queue for one in turns(several, "c")] == ["a", "b", "c"]
    assert [one.queue for one in turns(several, "aa")] == ["b", "c", "a"], "a queue that has nothing waiting any more"


@given(st.integers(1, 50), st.integers(1, 50))
def test_shares_use_every_seat_and_differ_by_one_at_most(seats: int, queues: int) -> None:
    left, shares = seats, []
    for behind in range(queues, 0, -1):
        shares.append(min(left, share(left, behind)))
        left -= shares[-1]
    assert sum(shares) == seats
    assert max(shares) - min(shares) <= 1


lanes = st.builds(Lane, st.sampled_from("abc"), st.integers(0, 3))


@given(
    st.lists(lanes, unique=True),
    st.dictionaries(lanes, st.integers(1, 5)),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 6)),
    st.dictionaries(st.integers(1, 3), st.integers(0, 6)),
    st.integers(0, 9),
)
def test_room_keeps_every_limit(
    waiting: list[Lane], running: dict[Lane, int], queues: dict[str, int], jobs: dict[int, int], seats: int
) -> None:
    for found in room(waiting, running, queues.get, jobs.get, seats):
        used = sum(count for lane, count in running.items() if lane.queue == found.queue)
        assert 0 < found.most <= seats
        assert found.most + used <= queues.get(found.queue, 10**6)
        for number, free in found.lanes:
            assert Lane(found.queue, number) in waiting
            assert 0 < free <= found.most
            if number:
                taken = sum(count for lane, count in running.items() if lane.number == number)
                assert free + taken <= jobs.get(number, 10**6)

"""Shares idle workers among queues and lanes in which runs wait: how many each may take, before any is reserved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lane:
    """A part of a queue in which runs wait: `number` is the job's id where the job has a limit of its own, else 0."""

    queue: str
    number: int


@dataclass(frozen=True, slots=True)
class Room:
    """What a queue may take now: of each open lane (its number) at most so many, all together at most `most`."""

    queue: str
    lanes: tuple[tuple[int, int], ...]
    most: int


def room(
    waiting: Sequence[Lane],
    running: Mapping[Lane, int],
    queue_limit: Callable[[str], int | None],
    job_limit: Callable[[int], int | None],
    seats: int,
) -> list[Room]:
    """The queues that may take a run, each bounded by its own limit, its lanes' limits and the seats there are.

    Limits of None are none. A queue or lane without room is left out.
    """
    found, used = [], by_queue(running)
    for queue in dict.fromkeys(lane.queue for lane in waiting):
        most = _left(queue_limit(queue), used.get(queue, 0), seats)
        lanes = tuple(
            (lane.number, free)
            for lane in waiting
            if lane.queue == queue and (free := _lane_room(lane, running, job_limit, most)) > 0
        )
        if most > 0 and lanes:
            found.append(Room(queue, lanes, most))
    return found


def _lane_room(lane: Lane, running: Mapping[Lane, int], job_limit: Callable[[int], int | None], most: int) -> int:
    """A job's limit holds over all queues its runs stand in."""
    if lane.number == 0:
        return most
    used = sum(count for other, count in running.items() if other.number == lane.number)
    return _left(job_limit(lane.number), used, most)


def _left(limit: int | None, used: int, bound: int) -> int:
    return bound if limit is None else max(0, min(limit - used, bound))


def by_queue(running: Mapping[Lane, int]) -> dict[str, int]:
    """How many runs of each queue are under way."""
    used: dict[str, int] = {}
    for lane, count in running.items():
        used[lane.queue] = used.get(lane.queue, 0) + count
    return used


def turns(rooms: Sequence[Room], last: str | None) -> list[Room]:
    """The order in which queues are served: the one after the queue served last comes first, so that none starves."""
    ordered = sorted(rooms, key=lambda room: room.queue)
    later = [room for room in ordered if last is not None and room.queue > last]
    return later + [room for room in ordered if room not in later]


def share(seats: int, queues_left: int) -> int:
    """How many of the seats that are left the next queue may take while others wait behind it."""
    return -(-seats // queues_left)

"""What may still start as one reservation goes on: runs under way, tokens, resources, and who takes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobd.core import buckets
from jobd.core.allot import Lane, by_queue
from jobd.core.buckets import Level, Rate
from jobd.core.queues import Limits

Uses = tuple[tuple[str, int], ...]
"""How much of which resource, by name."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What binds the runs of a lane: the limits of their job, and what each of them takes."""

    job: int
    running_limit: int | None = None
    rate: Rate | None = None
    uses: Uses = ()


NO_TERMS = Terms(0)


@dataclass(slots=True)
class Ledger:
    """Counts down as runs are taken. `level_of` looks up what a bucket held last."""

    now: datetime
    running: Counter[Lane]
    queues: Callable[[str], Limits]
    resources: Mapping[str, int]
    """How much there is; of what is not named here there is one."""
    level_of: Callable[[str], Level | None]
    held: Counter[str] = field(default_factory=Counter)
    terms: dict[int, Terms] = field(default_factory=dict)
    _of_queue: Counter[str] = field(init=False)
    _levels: dict[str, tuple[Rate, Level]] = field(default_factory=dict)
    _touched: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._of_queue = Counter(by_queue(self.running))

    def unknown(self, lanes: Iterable[int]) -> list[int]:
        """Those of these lanes that have terms which were not told yet."""
        return [lane for lane in dict.fromkeys(lanes) if lane > 0 and lane not in self.terms]

    def queue_limit(self, queue: str) -> int | None:
        """How many runs of a queue may be under way, those included that are."""
        limits = self.queues(queue)
        bounds = [] if limits.max_running is None else [limits.max_running]
        if limits.rate is not None:
            bounds.append(self._of_queue[queue] + self._tokens(f"queue:{queue}", limits.rate))
        return min(bounds, default=None)

    def is_full(self, queue: str) -> bool:
        """Whether nothing of a queue may start now."""
        limit = self.queue_limit(queue)
        return limit is not None and limit <= self._of_queue[queue]

    def lane_limit(self, number: int) -> int | None:
        """The same for a lane, over all queues."""
        used = sum(count for lane, count in self.running.items() if lane.number == number)
        room = self._room(self.terms.get(number, NO_TERMS))
        return None if room is None else used + room

    def is_shut(self, number: int) -> bool:
        """Whether nothing of a lane may start now."""
        room = self._room(self.terms.get(number, NO_TERMS))
        return room is not None and room <= 0

    def _room(self, terms: Terms) -> int | None:
        bounds = []
        if terms.running_limit is not None:
            bounds.append(terms.running_limit - self._of_job(terms.job))
        if terms.rate is not None:
            bounds.append(self._tokens(f"job:{terms.job}", terms.rate))
        bounds += [self.left(name) // amount for name, amount in terms.uses]
        return min(bounds, default=None)

    def uses_of(self, number: int) -> Uses:
        """What each run of a lane takes of resources."""
        return self.terms.get(number, NO_TERMS).uses

    def shares(self, number: int) -> bool:
        """Whether what a lane may take hangs on what others take: then runs are picked one by one."""
        found = self.terms.get(number, NO_TERMS)
        return bool(found.uses) or (number > 0 and found.job != number)

    def left(self, resource: str) -> int:
        """How much of a resource nobody has."""
        return self.resources.get(resource, 1) - self.held[resource]

    def _of_job(self, job: int) -> int:
        return sum(
            count for lane, count in self.running.items() if lane.number > 0 and self._job_of(lane.number) == job
        )

    def _job_of(self, number: int) -> int:
        return self.terms[number].job if number in self.terms else number

    def _tokens(self, name: str, limit: Rate) -> int:
        if name not in self._levels:
            last = self.level_of(name)
            self._levels[name] = (limit, buckets.level(limit, last, self.now))
            if last is not None and last.at > self.now:
                self._touched.add(name)  # or it would stand still until the clock gets there again
        return buckets.whole(self._levels[name][1])

    def take(self, lane: Lane) -> None:
        """One run of a lane starts."""
        terms = self.terms.get(lane.number, NO_TERMS)
        self.running[lane] += 1
        self._of_queue[lane.queue] += 1
        self.held.update(dict(terms.uses))
        if self.queues(lane.queue).rate is not None:
            self._spend(f"queue:{lane.queue}")
        if terms.rate is not None:
            self._spend(f"job:{terms.job}")

    def _spend(self, name: str) -> None:
        if name in self._levels:
            limit, held = self._levels[name]
            self._levels[name] = (limit, buckets.take(held, 1))
            self._touched.add(name)

    def pick(self, queue: str, candidates: Sequence[tuple[int, int]], most: int) -> list[int]:
        """The first of these runs, each with its lane, that may start one beside the other; they are taken.

        One that must wait lets those behind it go: what it lacks may be nothing that they need.
        """
        picked: list[int] = []
        for run, number in candidates:
            if len(picked) == most:
                break
            if not self.is_shut(number):
                self.take(Lane(queue, number))
                picked.append(run)
        return picked

    def spent(self) -> dict[str, Level]:
        """The buckets that are to be written down."""
        return {name: self._levels[name][1] for name in self._touched}

    def next_at(self) -> datetime | None:
        """When the next token comes to an empty bucket that was looked at."""
        empty = [(limit, held) for limit, held in self._levels.values() if held.tokens < 1.0]
        return min((buckets.next_at(limit, held) for limit, held in empty), default=None)


def overuse(resource: str, amount: int, resources: Mapping[str, int]) -> str | None:
    """Why nobody can ever have so much of a resource; None where somebody can."""
    most = resources.get(resource, 1)
    if amount <= most:
        return None
    known = "" if resource in resources else ", since resources of jobd.yaml does not name it"
    return f"{resource}: {amount} is more than there is ({most}{known})"

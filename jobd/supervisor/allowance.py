"""Which limits of starting are in force and how much of them is left: for `why`, listings and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from jobd.control.ports import QueueLimits
from jobd.core import buckets
from jobd.core.ledger import Terms
from jobd.core.queues import Limits
from jobd.observe.why.limits import Dry, Short
from jobd.store.history import History
from jobd.supervisor.reserve import Reservation


class Allowance:
    """Looks up what a reservation would find, without taking anything."""

    def __init__(self, reservation: Reservation, history: History) -> None:
        self._reservation = reservation
        self._history = history

    def of_queue(self, queue: str) -> Limits:
        return self._reservation.limits_of(queue, self._history.queue_settings().get(queue))

    def queues(self, names: Iterable[str], now: datetime) -> dict[str, QueueLimits]:
        """What is in force of these queues and of all of which something was set, by name."""
        asked, levels = self._history.queue_settings(), self._history.levels()
        found = {}
        for name in sorted({*names, *asked}):
            limits = self._reservation.limits_of(name, asked.get(name))
            level = levels.get(f"queue:{name}")
            use = None if limits.rate is None else buckets.use(limits.rate, level, now)
            found[name] = QueueLimits(name, limits, use, asked.get(name), self._reservation.declared(name))
        return found

    def dry(self, queue: str, job: str, terms: Terms, now: datetime) -> tuple[Dry, ...]:
        """The rate limits that have no token for a run."""
        levels = self._history.levels()
        bounds = (
            ("queue", queue, self.of_queue(queue).rate, f"queue:{queue}"),
            ("job", job, terms.rate, f"job:{terms.job}"),
        )
        looked = [
            Dry(kind, name, buckets.use(rate, levels.get(bucket), now))
            for kind, name, rate, bucket in bounds
            if rate is not None
        ]
        return tuple(one for one in looked if one.use.is_up)

    def short(self, terms: Terms) -> tuple[Short, ...]:
        """The resources of which others have too much for a run."""
        taken = self._history.taken() if terms.uses else {}
        looked = [
            Short(name, wanted, self._reservation.resources.get(name, 1), _holders(name, taken))
            for name, wanted in terms.uses
        ]
        return tuple(one for one in looked if one.taken + one.wanted > one.total)


def _holders(name: str, taken: Mapping[int, Mapping[str, int]]) -> tuple[tuple[int, int], ...]:
    return tuple((run, uses[name]) for run, uses in sorted(taken.items()) if name in uses)
